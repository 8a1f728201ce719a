"""What the fitted sources would have given at the earlier wall, for the ranker to learn from."""

import polars as pl

from manyfaces.recommendations.training import TRAINING_SCHEMA, training_table


def model(dbt, session):
    if dbt.config.meta_get("ranker") == "fixed":
        return pl.DataFrame(schema=TRAINING_SCHEMA)
    return training_table(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("training_matrix").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
        dbt.ref("item_text_vectors").select("text_index, vector").pl(),
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("candidates_per_source")),
        content_count=int(dbt.config.meta_get("top_n")),
        regularisation=float(dbt.config.meta_get("ease_regularisation")),
        max_items=int(dbt.config.meta_get("collaborative_max_items")),
        method=str(dbt.config.meta_get("collaborative_method")),
        memory_mb=int(dbt.config.meta_get("collaborative_memory_mb")),
        seed=int(dbt.config.meta_get("seed")),
    )
