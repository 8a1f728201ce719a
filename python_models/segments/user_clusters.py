# STUB of the main session, to be replaced by its owner
import polars as pl


def model(dbt, session):
    dbt.config(materialized="table")
    return pl.DataFrame(schema={'segmentation': pl.String, 'user_key': pl.String, 'cluster': pl.Int32, 'distance': pl.Float64, 'second_distance': pl.Float64, 'margin': pl.Float64, 'run_id': pl.String, 'model_version': pl.String})
