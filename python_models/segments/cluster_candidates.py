"""Every candidate that was tried for a segmentation, and why one of them was chosen."""

from manyfaces.segments.clustering import candidate_frame
from manyfaces.store import ArtifactStore


def model(dbt, session):
    runs = dbt.ref("user_clusters").select("run_id").distinct().order("run_id").pl()
    return candidate_frame(runs["run_id"].to_list(), ArtifactStore(str(dbt.config.meta_get("store_dir"))))
