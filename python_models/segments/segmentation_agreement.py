"""How far every segmentation agrees with labels from outside, where the input has some."""

from manyfaces.segments.external import agreement_with_labels


def model(dbt, session):
    labels = dbt.ref("stg_user_labels").select("user_key, label")
    # Of millions of users few may have a label.
    labelled = dbt.ref("segment_assignments").join(labels, "user_key", how="semi")
    assignments = labelled.select("segmentation, user_key, segment_id, is_unassigned")
    return agreement_with_labels(assignments.pl(), labels.pl())
