import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist
from segment_users import champion_of, inputs_of, planted
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments import ward
from manyfaces.segments.clustering import fit_segmentation
from manyfaces.segments.ward import cut_merges, fit_ward, ward_merges
from manyfaces.store import ArtifactStore

SPEC = {"name": "tree", "encoder": "vae", "algorithm": "ward", "levels": [2, 3, 6]}


@pytest.mark.parametrize("groups", [1, 2, 5, 17, 40])
def test_merges_equal_scipy(groups):
    points = np.random.default_rng(3).normal(size=(40, 3))
    ours = cut_merges(ward_merges(points, np.ones(40)), 40, groups)
    theirs = fcluster(linkage(points, "ward"), groups, "maxclust")
    assert adjusted_rand_score(ours, theirs) == 1
    assert set(ours) == set(range(groups))


def test_a_weight_counts_like_as_many_users():
    random = np.random.default_rng(4)
    points, weights = random.normal(size=(25, 2)), random.integers(1, 6, 25)
    repeated = np.repeat(np.arange(25), weights)
    theirs = fcluster(linkage(points[repeated], "ward"), 6, "maxclust")
    ours = cut_merges(ward_merges(points, weights), 25, 6)
    assert adjusted_rand_score(ours[repeated], theirs) == 1


def test_planted_segments_are_found():
    vectors, truth = planted(2_000, outliers=0.02)
    found = fit_ward(SPEC, inputs_of(vectors))
    inside = truth >= 0
    assert adjusted_rand_score(truth[inside], found.labels[inside]) >= 0.95
    assert (found.labels == cdist(vectors, found.centres).argmin(axis=1)).all()


def test_levels_nest_and_parents_are_the_next_level_up():
    vectors, _ = planted(600)
    found = fit_ward(SPEC, inputs_of(vectors))
    assert sorted(found.coarser) == [2, 3]
    assert [len(np.unique(found.coarser[level])) for level in (2, 3)] == [2, 3]
    np.testing.assert_array_equal(found.parents, found.coarser[3])
    # Segments of one parent on the finer level share the grandparent.
    assert len(set(zip(found.coarser[3], found.coarser[2], strict=True))) == 3
    shares = [row["smallest_share"] for row in found.candidates]
    sizes = [np.bincount(found.coarser[level][found.labels]).min() / 600 for level in (2, 3)]
    np.testing.assert_allclose(shares[:2], sizes, atol=1e-6)
    assert [row["is_champion"] for row in found.candidates] == [False, False, True]
    assert "parents" in found.candidates[0]["reason"]


def test_artefact_numbers_every_level_by_size(tmp_path):
    vectors, _ = planted(600)
    inputs = inputs_of(vectors)
    arrays = fit_segmentation(SPEC, inputs, ArtifactStore(tmp_path)).arrays
    np.testing.assert_array_equal(arrays["parents"], arrays["coarser_3"])
    for level in (2, 3):
        users = np.bincount(arrays[f"coarser_{level}"][arrays["labels"]])
        assert len(users) == level
        assert (np.diff(users) <= 0).all()


def test_a_level_with_too_small_a_segment_is_not_the_finest():
    vectors, _ = planted(600)
    found = fit_ward(SPEC | {"min_segment_share": 0.15}, inputs_of(vectors))
    champion = champion_of(found)
    assert champion["clusters"] < 6
    assert champion["smallest_share"] >= 0.15
    assert "the finest level without a segment below min_segment_share 15.0%" in champion["reason"]
    assert found.candidates[-1]["reason"].startswith("Out: ")
    hopeless = fit_ward(SPEC | {"min_segment_share": 0.6}, inputs_of(vectors))
    assert champion_of(hopeless)["clusters"] == 2
    assert "every level" in champion_of(hopeless)["reason"]
    assert hopeless.parents is None


def test_many_users_go_through_fine_segments(monkeypatch):
    monkeypatch.setattr(ward, "FIT_USERS", 500)
    monkeypatch.setattr(ward, "FINE_SEGMENTS", 40)
    vectors, truth = planted(1_500, outliers=0)
    found = fit_ward(SPEC, inputs_of(vectors))
    assert adjusted_rand_score(truth, found.labels) >= 0.95


def test_more_segments_than_users_are_not_tried():
    found = fit_ward(SPEC | {"levels": [2, 50]}, inputs_of(np.eye(4)))
    assert len(found.centres) == 2
    assert found.candidates[-1]["reason"] == "Not tried: only 4 users differ."
