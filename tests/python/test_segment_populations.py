"""Clustering the users of a population only."""

import numpy as np
import polars as pl
import pytest

from manyfaces.segments.clustering import CLUSTER_SCHEMA, fit_segmentations
from manyfaces.store import ArtifactStore

ALL = {"name": "all_users", "encoder": "fused", "algorithm": "kmeans", "candidates": [2]}
SOME = ALL | {"name": "some", "population": "a condition that was applied before"}


@pytest.fixture
def users():
    random = np.random.default_rng(3)
    vectors = np.concatenate([random.normal(0, 1, (30, 2)), random.normal(20, 1, (30, 2))])
    keys = [f"user{number:03d}" for number in random.permutation(60)]
    return pl.DataFrame({"user_key": keys, "vector": vectors.astype(np.float32).tolist()})


def test_a_population_is_clustered_as_if_there_were_no_other_users(users, tmp_path):
    members = users["user_key"].sample(25, seed=1)
    store = ArtifactStore(tmp_path)
    found = fit_segmentations([ALL, SOME], {"fused": users}, 7, store, {"some": members})
    some = found.filter(pl.col("segmentation") == "some")
    assert some["user_key"].to_list() == sorted(members)
    assert found.filter(pl.col("segmentation") == "all_users").height == 60
    alone = fit_segmentations([SOME], {"fused": users.filter(pl.col("user_key").is_in(members))}, 7, store)
    assert some.equals(alone)


def test_members_without_vectors_are_left_out(users, tmp_path):
    members = pl.Series(["nobody", users["user_key"][0], users["user_key"][1]])
    found = fit_segmentations([SOME], {"fused": users}, 7, ArtifactStore(tmp_path), {"some": members})
    assert found["user_key"].to_list() == sorted(users["user_key"][:2])


def test_an_empty_population_gives_typed_rows(users, tmp_path):
    nobody = pl.Series([], dtype=pl.String)
    found = fit_segmentations([SOME], {"fused": users}, 7, ArtifactStore(tmp_path), {"some": nobody})
    assert found.schema == CLUSTER_SCHEMA
    assert found.is_empty()
