"""Items new to the user whose text, or other vector, is near to what the user likes."""

import polars as pl

from manyfaces.recommendations.tables import CONTENT_SCHEMA, content_table, read_history


def model(dbt, session):
    if "content" not in str(dbt.config.meta_get("sources")).split(","):
        return pl.DataFrame(schema=CONTENT_SCHEMA)
    history = read_history(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dbt.ref("user_item_affinity").filter("affinity <= 0").select("user_key, item_id").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
    )
    medoids = (
        dbt.ref("interest_medoids").filter("horizon = 'long'").select("user_number, item_number, weight").pl()
    )
    users = dbt.ref("user_attributes").select("user_number, user_key").pl()
    items = dbt.ref("item_stats").select("item_number, item_id").pl()
    return content_table(
        history,
        dbt.ref("user_text_embeddings").select("user_key, vector").pl(),
        dbt.ref("item_text_vectors").select("text_index, vector").pl(),
        medoids.join(users, on="user_number").join(items, on="item_number"),
        dbt.ref("stg_item_vectors").select("item_id, modality, vector").pl(),
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("top_n")),
        vectors_from=str(dbt.config.meta_get("content_vectors")),
    )
