"""Logits of boosted trees, or of the multi-task ranker, for the best candidates by weights."""

from manyfaces.recommendations.ranking import boosted_table


def model(dbt, session):
    ranker = str(dbt.config.meta_get("ranker"))
    examples = dbt.ref("training_examples")
    finalists = dbt.ref("finalist_features")
    (users,) = dbt.ref("user_attributes").aggregate("count(*)").fetchone()
    few = users <= int(dbt.config.meta_get("boosted_max_users"))
    wanted = ranker in ("boosted", "multi_task") or (ranker == "auto" and few)
    return boosted_table(
        examples.pl() if wanted else None,
        finalists.pl() if wanted else None,
        str(dbt.config.meta_get("store_dir")),
        method="multi_task" if ranker == "multi_task" else "trees",
        seed=int(dbt.config.meta_get("seed")),
    )
