"""Several interests of each user, and the own item that stands for each."""

from manyfaces.segments.interests import interest_table
from manyfaces.store import ArtifactStore


def model(dbt, session):
    return interest_table(
        dbt.ref("user_interest_texts").pl(),
        dbt.ref("item_text_embeddings").select("text_index, vector").pl(),
        max_interests=int(dbt.config.meta_get("max_interests")),
        store=ArtifactStore(str(dbt.config.meta_get("store_dir"))),
    )
