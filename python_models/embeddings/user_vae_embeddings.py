"""Each user's latent mean under a variational autoencoder of the user-item matrix."""

from manyfaces.embeddings.tables import user_vae_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for


def model(dbt, session):
    hidden_dims = dbt.config.meta_get("vae_hidden_dims")
    return user_vae_table(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").select("item_index, item_id").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this)),
        max_items=int(dbt.config.meta_get("vae_max_items")),
        hidden_dims=tuple(hidden_dims) if isinstance(hidden_dims, list) else (int(hidden_dims),),
        latent_dims=int(dbt.config.meta_get("vae_latent_dims")),
        dropout=float(dbt.config.meta_get("vae_dropout")),
        max_epochs=int(dbt.config.meta_get("vae_max_epochs")),
        patience=int(dbt.config.meta_get("vae_patience")),
        max_beta=float(dbt.config.meta_get("vae_max_beta")),
        learning_rate=float(dbt.config.meta_get("vae_learning_rate")),
        max_training_rows=int(dbt.config.meta_get("vae_max_training_users")),
        seed=int(dbt.config.meta_get("seed")),
    )
