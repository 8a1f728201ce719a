"""Item side of the factorised user-item matrix."""

from manyfaces.embeddings.tables import item_factor_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for


def model(dbt, session):
    return item_factor_table(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").select("item_index, item_id").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dims=int(dbt.config.meta_get("factor_dims")),
        seed=int(dbt.config.meta_get("seed")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this)),
    )
