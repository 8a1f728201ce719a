"""The text vectors that tables to the right read: adapted to what users take together, or as they are."""

from manyfaces.embeddings.tables import item_text_vector_table


def model(dbt, session):
    user_text_weights = dbt.ref("user_text_weights")
    return item_text_vector_table(
        dbt.ref("item_text_embeddings").pl(),
        user_text_weights.pl,
        adapter=str(dbt.config.meta_get("text_adapter")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        seed=int(dbt.config.meta_get("seed")),
    )
