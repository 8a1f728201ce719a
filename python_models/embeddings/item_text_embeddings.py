"""A vector for each distinct item text."""

from manyfaces.embeddings.tables import item_text_table


def model(dbt, session):
    return item_text_table(
        dbt.ref("item_texts").select("text_index, text_key, text").pl(),
        encoder=str(dbt.config.meta_get("text_encoder")),
        pooling=str(dbt.config.meta_get("text_pooling")),
        batch_size=int(dbt.config.meta_get("text_batch_size")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        seed=int(dbt.config.meta_get("seed")),
    )
