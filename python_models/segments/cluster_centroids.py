"""Centres and radii of the segments, to which new users can be assigned without training."""

from manyfaces.segments.clustering import centroid_frame
from manyfaces.store import ArtifactStore


def model(dbt, session):
    segments = dbt.ref("user_clusters").filter("cluster >= 0")
    return centroid_frame(
        segments.select("segmentation, cluster, segment_number, run_id")
        .distinct()
        .order("segmentation, cluster")
        .pl(),
        ArtifactStore(str(dbt.config.meta_get("store_dir"))),
    )
