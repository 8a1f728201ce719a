# STUB of the main session, to be replaced by its owner
import polars as pl


def model(dbt, session):
    dbt.config(materialized="table")
    return pl.DataFrame(schema={'segmentation': pl.String, 'candidate': pl.String, 'algorithm': pl.String, 'parameters': pl.String, 'clusters': pl.Int32, 'silhouette': pl.Float64, 'calinski_harabasz': pl.Float64, 'davies_bouldin': pl.Float64, 'dunn': pl.Float64, 'noise_share': pl.Float64, 'smallest_share': pl.Float64, 'votes': pl.Float64, 'is_champion': pl.Boolean, 'reason': pl.String, 'run_id': pl.String})
