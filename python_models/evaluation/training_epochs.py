"""The course of every training."""

from manyfaces.runs import training_epochs_table


def model(dbt, session):
    tables = {
        "user_vae_embeddings": dbt.ref("user_vae_embeddings"),
        "item_text_vectors": dbt.ref("item_text_vectors"),
        "user_encodings": dbt.ref("user_encodings"),
    }
    runs = {
        name: [run_id for (run_id,) in table.select("run_id").distinct().fetchall()]
        for name, table in tables.items()
    }
    for name, run_id in dbt.ref("fitted_source_runs").fetchall():
        runs[name] = [*runs.get(name, []), run_id]
    return training_epochs_table(
        runs,
        store_dir=str(dbt.config.meta_get("store_dir")),
    )
