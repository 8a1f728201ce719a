"""External quality of a segmentation: how far it agrees with labels that somebody gave to users."""

import numpy as np
import polars as pl
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

AGREEMENT_SCHEMA = {
    "segmentation": pl.String,
    "users": pl.Int64,
    "unknown_users": pl.Int64,
    "ambiguous_users": pl.Int64,
    "labels": pl.Int64,
    "segments": pl.Int64,
    "adjusted_rand_index": pl.Float64,
    "normalised_mutual_information": pl.Float64,
    "accuracy": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f1": pl.Float64,
}


def agreement_with_labels(assignments: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Compare every segmentation with the labels of its users.

    Args:
        assignments: segmentation, user_key, segment_id, is_unassigned; one row per segmentation and user.
            Users without a label do not matter.
        labels: user_key, label. Users with several labels are left out and counted.

    Returns:
        One row per segmentation with the columns of AGREEMENT_SCHEMA, ordered by name. `users` are those that
        have one label and are in the segmentation, `unknown_users` have a label but are not in it. Without
        such users the measures are null, and without labels there are no rows.
    """
    if labels.is_empty():
        return pl.DataFrame(schema=AGREEMENT_SCHEMA)
    labelled = labels.group_by("user_key").agg(pl.col("label").min(), labels=pl.col("label").n_unique())
    clear = labelled.filter(pl.col("labels") == 1).select("user_key", "label")
    rows = []
    for (segmentation,), members in sorted(assignments.group_by("segmentation"), key=lambda group: group[0]):
        joined = members.join(clear, on="user_key").sort("user_key")
        rows.append(
            {
                "segmentation": segmentation,
                "users": len(joined),
                "unknown_users": len(clear) - len(joined),
                "ambiguous_users": len(labelled) - len(clear),
                "labels": joined["label"].n_unique(),
                "segments": joined.filter(~pl.col("is_unassigned"))["segment_id"].n_unique(),
                **_measures(joined),
            }
        )
    return pl.DataFrame(rows, schema=AGREEMENT_SCHEMA)


def _measures(joined: pl.DataFrame) -> dict[str, float]:
    """Return the six measures of users with segment_id, is_unassigned and label; none for no users.

    Adjusted Rand index (Hubert and Arabie 1985) and normalised mutual information (arithmetic mean, equal to
    the V-measure of Rosenberg and Hirschberg 2007) count the unassigned as one more group.
    """
    if joined.is_empty():
        return {}
    segments, truth = joined["segment_id"].to_numpy(), joined["label"].to_numpy()
    measures = {
        "adjusted_rand_index": adjusted_rand_score(truth, segments),
        "normalised_mutual_information": normalized_mutual_info_score(truth, segments),
        **_matched_measures(joined),
    }
    return {name: round(float(value), 6) for name, value in measures.items()}


def _matched_measures(joined: pl.DataFrame) -> dict[str, float]:
    """Return accuracy and macro precision, recall and F1 once each label has at most one segment.

    The matching is the one with the most users in agreement (Kuhn 1955). The unassigned match no label, and a
    label without a segment has precision, recall and F1 of 0.
    """
    labels, label_codes = np.unique(joined["label"].to_numpy(), return_inverse=True)
    assigned = ~joined["is_unassigned"].to_numpy()
    segments, segment_codes = np.unique(joined["segment_id"].to_numpy()[assigned], return_inverse=True)
    counts = np.zeros((len(labels), len(segments)), dtype=np.int64)
    np.add.at(counts, (label_codes[assigned], segment_codes), 1)
    matched, partners = linear_sum_assignment(counts, maximize=True)
    right = np.zeros(len(labels))
    found = np.zeros(len(labels))
    right[matched] = counts[matched, partners]
    found[matched] = counts.sum(axis=0)[partners]
    wanted = np.bincount(label_codes, minlength=len(labels))
    return {
        "accuracy": right.sum() / len(joined),
        "precision": np.divide(right, found, out=np.zeros(len(labels)), where=found > 0).mean(),
        "recall": (right / wanted).mean(),
        "f1": (2 * right / (found + wanted)).mean(),
    }
