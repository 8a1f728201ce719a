"""One vector per user, fused from activity, categories, text, autoencoder, factors and attributes."""

from manyfaces.embeddings.fused import Evidence, user_embedding_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for


def model(dbt, session):
    evidence = Evidence(
        dbt.ref("matrix_users").pl(),
        dbt.ref("user_features").pl,
        dbt.ref("user_category_weights").pl,
        dbt.ref("user_attributes").pl,
        {
            "text": dbt.ref("user_text_embeddings").pl,
            "vae": dbt.ref("user_vae_embeddings").pl,
            "factors": dbt.ref("user_factors").pl,
        },
    )
    return user_embedding_table(
        evidence,
        weights=dict(dbt.config.meta_get("fusion_weights")),
        dims=int(dbt.config.meta_get("fusion_dims")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this)),
    )
