"""What was fitted on what, with which parameters and how well."""

from manyfaces.runs import learned_runs_table


def model(dbt, session):
    tables = {
        "item_text_embeddings": dbt.ref("item_text_embeddings"),
        "item_text_vectors": dbt.ref("item_text_vectors"),
        "user_text_embeddings": dbt.ref("user_text_embeddings"),
        "user_vae_embeddings": dbt.ref("user_vae_embeddings"),
        "user_factors": dbt.ref("user_factors"),
        "item_factors": dbt.ref("item_factors"),
        "user_embeddings": dbt.ref("user_embeddings"),
        "user_encodings": dbt.ref("user_encodings"),
        "user_clusters": dbt.ref("user_clusters"),
        "user_positions": dbt.ref("user_positions"),
        "collaborative_candidates": dbt.ref("collaborative_candidates"),
        "content_candidates": dbt.ref("content_candidates"),
    }
    return learned_runs_table(
        {
            name: [run_id for (run_id,) in table.select("run_id").distinct().fetchall()]
            for name, table in tables.items()
        },
        store_dir=str(dbt.config.meta_get("store_dir")),
    )
