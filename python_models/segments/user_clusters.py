"""Segments of users by clustering, for every segmentation that is declared and not made in SQL."""

from manyfaces.segments.clustering import fit_segmentations
from manyfaces.segments.specs import python_specs
from manyfaces.store import ArtifactStore


def model(dbt, session):
    sources = {
        "fused": dbt.ref("user_embeddings"),
        "vae": dbt.ref("user_vae_embeddings"),
        "text": dbt.ref("user_text_embeddings"),
        "factors": dbt.ref("user_factors"),
    }
    members = dbt.ref("segmentation_users")
    specs = python_specs(dbt.config.meta_get("segmentations"))
    return fit_segmentations(
        specs,
        {name: sources[name].select("user_key, vector").pl() for name in {spec["encoder"] for spec in specs}},
        seed=int(dbt.config.meta_get("seed")),
        store=ArtifactStore(str(dbt.config.meta_get("store_dir"))),
        populations={
            spec["name"]: members.filter(f"segmentation = '{spec['name']}'")
            .select("user_key")
            .pl()["user_key"]
            for spec in specs
            if "population" in spec
        },
    )
