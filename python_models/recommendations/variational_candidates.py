"""Items that the autoencoder of the users expects in their histories."""

from manyfaces.recommendations.fitted_sources import variational_source
from manyfaces.recommendations.tables import fitted_table, read_history


def model(dbt, session):
    history = read_history(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dbt.ref("user_item_affinity").filter("affinity <= 0").select("user_key, item_id").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
    )
    runs = dbt.ref("user_vae_embeddings").select("run_id").distinct()
    source = variational_source(
        history, [run_id for (run_id,) in runs.fetchall()], str(dbt.config.meta_get("store_dir"))
    )
    return fitted_table(
        history,
        source,
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("candidates_per_source")),
    )
