"""The text vectors that all other tables read: adapted to what users take together, or as they are."""

from manyfaces.embeddings.tables import item_text_vector_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for


def model(dbt, session):
    user_text_weights = dbt.ref("user_text_weights")
    return item_text_vector_table(
        dbt.ref("item_text_embeddings").pl(),
        user_text_weights.pl,
        adapter=str(dbt.config.meta_get("text_adapter")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        seed=int(dbt.config.meta_get("seed")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this)),
    )
