"""Segments of users by clustering, at this wall and at those around it."""

from manyfaces.frames import previous_rows
from manyfaces.segments.dates import dated_clusters
from manyfaces.segments.lasting import Policy
from manyfaces.segments.specs import python_specs
from manyfaces.store import ArtifactStore


def model(dbt, session):
    return dated_clusters(
        python_specs(dbt.config.meta_get("segmentations")),
        dbt.ref("segmentation_vectors").pl(),
        dbt.ref("wall").pl(),
        previous_rows(session, dbt.this),
        shares=dbt.ref("user_category_weights").select("user_index, category, share").pl(),
        users=dbt.ref("matrix_users").pl(),
        labels=dbt.ref("stg_user_labels").pl(),
        relations=dbt.ref("stg_user_relations").pl(),
        outlook=dbt.ref("category_outlook").select("user_index, category, next_share").pl(),
        policy=Policy(
            **dict(dbt.config.meta_get("refit_when")),
            min_overlap=float(dbt.config.meta_get("segment_match_min")),
        ),
        seed=int(dbt.config.meta_get("seed")),
        store=ArtifactStore(str(dbt.config.meta_get("store_dir"))),
    )
