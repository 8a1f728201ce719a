"""Rules that tell the users of a segment from all others."""

from manyfaces.phrases import Phrases
from manyfaces.segments.explanations import explain_segments
from manyfaces.store import ArtifactStore


def model(dbt, session):
    labels = dbt.ref("feature_labels").pl()
    users = dbt.ref("rule_users")
    names = ", ".join(sorted(labels["feature"]))
    categories = dbt.ref("user_category_weights").join(dbt.ref("matrix_users"), "user_index")
    return explain_segments(
        dbt.ref("user_features").join(users, "user_key").select(f"user_key, is_held_out, {names}").pl(),
        categories.join(users, "user_key", how="semi").select("user_key, category, share").pl(),
        dbt.ref("segment_assignments")
        .join(users, "user_key", how="semi")
        .select("segmentation, user_key, segment_id, is_unassigned")
        .pl(),
        labels,
        dbt.ref("category_labels").pl(),
        phrases=Phrases(dbt.ref("phrases").pl(), str(dbt.config.meta_get("language"))),
        min_users=int(dbt.config.meta_get("min_users_per_cell")),
        seed=int(dbt.config.meta_get("seed")),
        store=ArtifactStore(str(dbt.config.meta_get("store_dir"))),
    )
