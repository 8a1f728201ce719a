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
        "explaining_rules": dbt.ref("explaining_rules"),
        "interest_medoids": dbt.ref("interest_medoids"),
        "collaborative_candidates": dbt.ref("collaborative_candidates"),
        "content_candidates": dbt.ref("content_candidates"),
        "rating_predictions": dbt.ref("rating_predictions"),
    }
    runs = {
        name: [run_id for (run_id,) in table.select("run_id").distinct().fetchall()]
        for name, table in tables.items()
    }
    for name, run_id in dbt.ref("fitted_source_runs").fetchall():
        runs[name] = [*runs.get(name, []), run_id]
    # Only fused vectors have a run of their own: others lie in the space of their encoder.
    spaces = dbt.ref("segmentation_vectors").filter("starts_with(space, 'space_')").select("space").distinct()
    runs["segmentation_vectors"] = [space for (space,) in spaces.fetchall()]
    return learned_runs_table(
        runs,
        store_dir=str(dbt.config.meta_get("store_dir")),
    )
