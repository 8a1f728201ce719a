"""Items that the most similar users of the same segment like."""

from manyfaces.recommendations.fitted_sources import user_neighbour_source
from manyfaces.recommendations.tables import fitted_table, read_history


def model(dbt, session):
    history = read_history(
        dbt.ref("matrix_users").pl(),
        dbt.ref("matrix_items").pl(),
        dbt.ref("user_item_matrix").select("user_index, item_index, affinity").pl(),
        dbt.ref("user_item_affinity").filter("affinity <= 0").select("user_key, item_id").pl(),
        dbt.ref("item_stats").select("item_id, is_active").pl(),
    )
    segmentation = str(dbt.config.meta_get("default_segmentation"))
    assignments = (
        dbt.ref("segment_assignments")
        .filter(f"segmentation = '{segmentation}' and not is_unassigned")
        .select("user_key, segment_id")
    )
    source = user_neighbour_source(
        history, assignments.pl(), count=int(dbt.config.meta_get("user_neighbours"))
    )
    return fitted_table(
        history,
        source,
        str(dbt.config.meta_get("store_dir")),
        count=int(dbt.config.meta_get("candidates_per_source")),
    )
