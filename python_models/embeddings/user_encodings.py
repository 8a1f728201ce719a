"""Vectors of the encoders that segmentations ask for and that no other table holds."""

from manyfaces.embeddings.encoders.registry import wanted_encoders
from manyfaces.embeddings.encoders.table import user_encoding_table
from manyfaces.keeping import Plan


def model(dbt, session):
    tables = {
        "matrix_users": dbt.ref("matrix_users"),
        "matrix_items": dbt.ref("matrix_items").select("item_index, item_id"),
        "user_item_matrix": dbt.ref("user_item_matrix").select("user_index, item_index, affinity"),
        "user_features": dbt.ref("user_features"),
        "user_sequences": dbt.ref("user_sequences").select("user_key, item_ids"),
    }
    wall = dbt.ref("wall").select("cast(as_of as varchar)").fetchone()
    declared = dbt.config.meta_get("encoders")
    return user_encoding_table(
        {name: table.pl for name, table in tables.items()},
        wanted=wanted_encoders(dbt.config.meta_get("segmentations"), declared),
        declared=declared,
        seed=int(dbt.config.meta_get("seed")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=Plan(as_of=wall[0] if wall else ""),
    )
