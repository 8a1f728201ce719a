"""Items that users with a similar history like, new ones and repeats."""

from manyfaces.recommendations.tables import collaborative_table, read_history


def model(dbt, session):
    history = read_history(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dbt.ref("user_item_affinity").filter("affinity <= 0").select("user_key, item_id").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
    )
    latent_means = dbt.ref("user_vae_embeddings").select("run_id").distinct()
    return collaborative_table(
        history,
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("candidates_per_source")),
        regularisation=float(dbt.config.meta_get("ease_regularisation")),
        max_items=int(dbt.config.meta_get("collaborative_max_items")),
        method=str(dbt.config.meta_get("collaborative_method")),
        memory_mb=int(dbt.config.meta_get("collaborative_memory_mb")),
        seed=int(dbt.config.meta_get("seed")),
        vae_runs=lambda: [run_id for (run_id,) in latent_means.fetchall()],
    )
