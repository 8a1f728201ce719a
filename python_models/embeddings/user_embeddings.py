"""One vector per user, fused from activity, categories, text, autoencoder, factors and attributes."""

from manyfaces.embeddings.fused import Evidence, user_embedding_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for


def model(dbt, session):
    features = dbt.ref("user_features")
    categories = dbt.ref("user_category_weights")
    attributes = dbt.ref("user_attributes")
    vectors = {
        "text": dbt.ref("user_text_embeddings"),
        "vae": dbt.ref("user_vae_embeddings"),
        "factors": dbt.ref("user_factors"),
    }
    return user_embedding_table(
        Evidence(
            dbt.ref("matrix_users").pl(),
            features.pl,
            categories.pl,
            attributes.pl,
            {name: table.pl for name, table in vectors.items()},
        ),
        weights=dict(dbt.config.meta_get("fusion_weights")),
        dims=int(dbt.config.meta_get("fusion_dims")),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this)),
    )
