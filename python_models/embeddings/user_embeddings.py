"""One vector per user, fused from behaviour, text, autoencoder, factors and attributes."""

from manyfaces.embeddings.tables import user_embedding_table


def model(dbt, session):
    return user_embedding_table(
        dbt.ref("matrix_users").pl(),
        dbt.ref("user_features").pl(),
        dbt.ref("user_category_weights").select("user_index, category_index, weight").pl(),
        {
            "text": dbt.ref("user_text_embeddings").select("user_key, vector").pl(),
            "vae": dbt.ref("user_vae_embeddings").select("user_key, vector").pl(),
            "factors": dbt.ref("user_factors").select("user_key, vector").pl(),
        },
        dbt.ref("user_attributes").select("user_key, age_band, gender, income_band, occupation, region").pl(),
        weights=dict(dbt.config.meta_get("fusion_weights")),
        dims=int(dbt.config.meta_get("fusion_dims")),
        store_dir=str(dbt.config.meta_get("store_dir")),
    )
