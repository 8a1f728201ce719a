"""Items that a sequence encoder expects after the newest of a user."""

from manyfaces.keeping import plan_for
from manyfaces.recommendations.fitted_sources import next_item_source
from manyfaces.recommendations.tables import fitted_table, read_history


def model(dbt, session):
    history = read_history(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dbt.ref("user_item_affinity").filter("affinity <= 0").select("user_key, item_id").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
    )
    tables = {
        "matrix_items": dbt.ref("matrix_items").select("item_index, item_id"),
        "user_item_matrix": dbt.ref("user_item_matrix").select("user_index, item_index, affinity"),
        "user_features": dbt.ref("user_features"),
        "user_sequences": dbt.ref("user_sequences").select("user_key, item_ids"),
    }
    runs = dbt.ref("user_encodings").select("run_id").distinct()
    source = next_item_source(
        history,
        {name: table.pl for name, table in tables.items()},
        dbt.config.meta_get("encoders"),
        str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), [run_id for (run_id,) in runs.fetchall()]),
        seed=int(dbt.config.meta_get("seed")),
    )
    return fitted_table(
        history,
        source,
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("candidates_per_source")),
    )
