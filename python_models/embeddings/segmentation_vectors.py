"""The vectors that each clustered segmentation divides: those of an encoder, or blocks fused for it alone."""

from manyfaces.embeddings.fused import Evidence, segmentation_vector_table
from manyfaces.frames import previous_runs
from manyfaces.keeping import plan_for
from manyfaces.segments.specs import python_specs


def model(dbt, session):
    encodings = dbt.ref("user_encodings")
    encoders = [name for (name,) in encodings.select("encoder").distinct().fetchall()]
    evidence = Evidence(
        dbt.ref("matrix_users").pl(),
        dbt.ref("user_features").pl,
        dbt.ref("user_category_weights").pl,
        dbt.ref("user_attributes").pl,
        {
            "fused": dbt.ref("user_embeddings").pl,
            "text": dbt.ref("user_text_embeddings").pl,
            "vae": dbt.ref("user_vae_embeddings").pl,
            "factors": dbt.ref("user_factors").pl,
        }
        | {name: encodings.filter(f"encoder = '{name}'").pl for name in encoders},
    )
    return segmentation_vector_table(
        python_specs(dbt.config.meta_get("segmentations")),
        evidence,
        dbt.ref("segmentation_users").pl(),
        store_dir=str(dbt.config.meta_get("store_dir")),
        plan=plan_for(dbt.ref("current_plan").pl(), previous_runs(session, dbt.this, "space")),
    )
