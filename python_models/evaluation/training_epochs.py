"""The course of every training."""

from manyfaces.runs import training_epochs_table


def model(dbt, session):
    vae_runs = dbt.ref("user_vae_embeddings").select("run_id").distinct().fetchall()
    return training_epochs_table(
        {"user_vae_embeddings": [run_id for (run_id,) in vae_runs]},
        store_dir=str(dbt.config.meta_get("store_dir")),
    )
