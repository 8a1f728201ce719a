import numpy as np
import pytest
from segment_users import champion_of, inputs_of, keys, planted
from sklearn.cluster import HDBSCAN
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments.directions import main_directions
from manyfaces.segments.hdbscan import fit_hdbscan, join_groups
from manyfaces.segments.users import hash_sample

SPEC = {"name": "dense", "encoder": "vae", "algorithm": "hdbscan"}


@pytest.mark.parametrize(("users", "fitted", "seed"), [(10_000, 2_000, 0), (3_000, 3_000, 1)])
def test_outliers_are_found_and_groups_are_counted(users, fitted, seed):
    vectors, truth = planted(users, seed=seed)
    found = fit_hdbscan(SPEC | {"max_fit_users": fitted}, inputs_of(vectors))
    noise, outlier = found.labels < 0, truth < 0
    assert len(found.centres) == 6
    assert (noise & outlier).sum() / noise.sum() >= 0.8
    assert (noise & outlier).sum() / outlier.sum() >= 0.8
    assert adjusted_rand_score(truth[~outlier], found.labels[~outlier]) >= 0.95


def test_users_outside_the_sample_are_told_apart_as_well():
    vectors, truth = planted(4_000)
    found = fit_hdbscan(SPEC | {"max_fit_users": 1_500}, inputs_of(vectors))
    others = np.setdiff1d(np.arange(4_000), hash_sample(keys(4_000), 1_500))
    noise, outlier = found.labels[others] < 0, truth[others] < 0
    assert (noise & outlier).sum() / noise.sum() >= 0.8
    assert (noise & outlier).sum() / outlier.sum() >= 0.8


def test_all_users_fitted_equal_scikit_learn():
    vectors, _ = planted(1_000)
    found = fit_hdbscan(SPEC | {"candidates": [20]}, inputs_of(vectors))
    space = main_directions(vectors, np.arange(1_000))
    reference = HDBSCAN(min_cluster_size=20, min_samples=10, copy=True).fit(space)
    np.testing.assert_array_equal(found.labels, reference.labels_)
    inside = found.labels >= 0
    np.testing.assert_allclose(found.probability[inside], reference.probabilities_[inside], atol=1e-6)
    assert np.isnan(found.probability[~inside]).all()
    np.testing.assert_allclose(found.centres[0], vectors[found.labels == 0].mean(axis=0), atol=1e-5)


def test_candidates_are_sizes_of_the_smallest_group_and_each_is_measured():
    vectors, _ = planted(1_000)
    rows = fit_hdbscan(SPEC | {"min_segment_share": 0.015}, inputs_of(vectors)).candidates
    assert [row["parameters"]["min_cluster_size"] for row in rows] == [15, 20, 40]
    assert all(row["stability"] >= 0.9 and row["silhouette"] > 0.4 for row in rows)
    assert all(0 < row["noise_share"] < 0.1 for row in rows)
    assert sum(row["is_champion"] for row in rows) == 1


def test_groups_below_the_smallest_share_disqualify():
    vectors, _ = make_blobs([400, 400, 30], 2, centers=[[0, 0], [30, 0], [0, 30]], random_state=2)
    found = fit_hdbscan(SPEC | {"candidates": [20, 50], "min_segment_share": 0.05}, inputs_of(vectors))
    assert champion_of(found)["parameters"]["min_cluster_size"] == 50
    assert found.candidates[0]["reason"].startswith("Out: its smallest segment holds")


def test_no_group_is_all_noise_with_the_reason():
    vectors = np.random.default_rng(0).normal(size=(300, 4))
    found = fit_hdbscan(SPEC | {"candidates": [140]}, inputs_of(vectors))
    assert (found.labels == -1).all()
    assert found.centres.shape == (0, 4)
    assert "no candidate finds two groups" in champion_of(found)["reason"]
    assert champion_of(found)["stability"] is None


def test_few_users_are_noise():
    found = fit_hdbscan(SPEC, inputs_of(np.eye(8)))
    assert (found.labels == -1).all()
    assert champion_of(found)["reason"] == "All noise: 8 users are too few for min_samples 10."


def test_rule_of_joining_by_hand():
    # Two groups on a line with steps of 1 and 10; a user's density is the distance to the next one.
    sample = np.array([[0.0], [1], [2], [3], [100], [110], [120], [130]])
    labels = np.repeat([0, 1], 4)
    join = join_groups(sample, labels, 2)
    found, nearest = join(np.array([[3.9], [4.1], [-1], [139], [141], [50]]))
    assert found.tolist() == [0, -1, 0, 1, -1, -1]
    assert nearest.tolist()[:5] == [3, 3, 0, 7, 7]
    nobody, _ = join_groups(sample, np.full(8, -1), 2)(sample)
    assert (nobody == -1).all()
