"""Dated segments of made-up users, as the model cluster_dates makes them."""

from datetime import datetime

import numpy as np
import polars as pl

from manyfaces.segments.dates import dated_clusters
from manyfaces.segments.lasting import Policy

WALL = datetime(2025, 1, 1)


def dated(
    specs,
    vectors,
    store,
    *,
    wall=WALL,
    previous=None,
    space="one",
    shares=None,
    labels=None,
    relations=None,
    outlook=None,
    policy=None,
    seed=7,
):
    """Divide users (a frame user_key, vector for all segmentations, or one by name) at a wall."""
    frames = vectors if isinstance(vectors, dict) else {spec["name"]: vectors for spec in specs}
    table = pl.concat(
        frame.select(
            pl.lit(name).alias("segmentation"),
            "user_key",
            "vector",
            (
                pl.col("past_vector") if "past_vector" in frame.columns else pl.lit(None, pl.List(pl.Float32))
            ).alias("past_vector"),
            pl.lit(space).alias("space"),
        )
        for name, frame in frames.items()
    )
    keys = table["user_key"].unique().sort()
    users = pl.DataFrame(
        {"user_index": np.arange(len(keys)), "user_key": keys}, schema_overrides={"user_key": pl.String}
    )
    if shares is None:
        shares = pl.DataFrame(schema={"user_index": pl.Int64, "category": pl.String, "share": pl.Float64})
    none = pl.DataFrame(
        schema={
            "user_key": pl.String,
            "label": pl.String,
            "related_user_key": pl.String,
            "weight": pl.Float64,
        }
    )
    return dated_clusters(
        specs,
        table,
        pl.DataFrame({"as_of": [] if wall is None else [wall]}, schema={"as_of": pl.Datetime("us")}),
        previous,
        shares=shares,
        users=users,
        labels=none if labels is None else labels,
        relations=none if relations is None else relations,
        outlook=shares.rename({"share": "next_share"}) if outlook is None else outlook,
        policy=policy or Policy(0.3, age_days=28, outside_share=0.05, psi=0.1),
        seed=seed,
        store=store,
    )


def at(rows, wall):
    """Return the rows of one wall, users in order."""
    return rows.filter(pl.col("as_of") == wall).sort("segmentation", "user_key")
