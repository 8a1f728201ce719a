"""The vectors that each clustered segmentation divides: those of an encoder, or blocks fused for it alone."""

from manyfaces.embeddings.fused import Evidence, segmentation_vector_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for
from manyfaces.segments.specs import python_specs


def model(dbt, session):
    features = dbt.ref("user_features")
    categories = dbt.ref("user_category_weights")
    attributes = dbt.ref("user_attributes")
    outlook = dbt.ref("category_outlook")
    encodings = dbt.ref("user_encodings")
    vectors = {
        "fused": dbt.ref("user_embeddings"),
        "text": dbt.ref("user_text_embeddings"),
        "vae": dbt.ref("user_vae_embeddings"),
        "factors": dbt.ref("user_factors"),
    }
    for (name,) in encodings.select("encoder").distinct().fetchall():
        vectors[name] = encodings.filter(f"encoder = '{name}'")
    return segmentation_vector_table(
        python_specs(dbt.config.meta_get("segmentations")),
        Evidence(
            dbt.ref("matrix_users").pl(),
            features.pl,
            categories.pl,
            attributes.pl,
            {name: table.pl for name, table in vectors.items()},
            outlook.pl,
        ),
        dbt.ref("segmentation_users").pl(),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this, "space")),
    )
