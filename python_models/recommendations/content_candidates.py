# STUB of the main session, to be replaced by its owner
import polars as pl


def model(dbt, session):
    dbt.config(materialized="table")
    return pl.DataFrame(schema={'user_key': pl.String, 'item_id': pl.String, 'source': pl.String, 'score': pl.Float64, 'evidence_item_id': pl.String, 'run_id': pl.String, 'model_version': pl.String})
