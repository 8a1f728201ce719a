"""Centres and radii of the segments, to which new users can be assigned without training."""

from manyfaces.segments.clustering import centroid_frame
from manyfaces.store import ArtifactStore


def model(dbt, session):
    runs = dbt.ref("user_clusters").select("run_id").distinct().order("run_id").pl()
    return centroid_frame(runs["run_id"].to_list(), ArtifactStore(str(dbt.config.meta_get("store_dir"))))
