"""A two-dimensional position for every user, for a scatter plot."""

from manyfaces.segments.positions import position_frame
from manyfaces.store import ArtifactStore


def model(dbt, session):
    users = dbt.ref("user_embeddings").select("user_key, vector").pl()
    return position_frame(users, ArtifactStore(str(dbt.config.meta_get("store_dir"))))
