"""Neighbours and their scores against brute force, with and without segments."""

import numpy as np
import pytest
from planted import hit_share, planted_tastes, popularity_hit_share, scores_of
from scipy import sparse

from manyfaces.recommendations.user_neighbours import nearest_neighbours, neighbours_with_item, score_blocks


@pytest.fixture
def dense() -> np.ndarray:
    values = np.random.default_rng(4).random((37, 12))
    return values * (np.random.default_rng(5).random((37, 12)) < 0.5)


def by_brute_force(dense: np.ndarray, count: int, segments: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(dense, axis=1)
    cosines = dense @ dense.T / np.outer(lengths, lengths)
    cosines[segments[:, None] != segments] = 0
    np.fill_diagonal(cosines, 0)
    return np.where(cosines >= -np.sort(-cosines, axis=1)[:, count - 1, None], cosines, 0)


@pytest.mark.parametrize("parts", [1, 3])
def test_neighbours_equal_brute_force_in_blocks(dense, parts):
    segments = np.arange(37) % parts
    found = nearest_neighbours(sparse.csr_array(dense), 5, segments if parts > 1 else None, block_users=10)
    np.testing.assert_allclose(found.toarray(), by_brute_force(dense, 5, segments), atol=1e-6)


def test_scores_and_evidence_equal_brute_force(dense):
    matrix, cosines = sparse.csr_array(dense), by_brute_force(dense, 5, np.zeros(37))
    neighbours = nearest_neighbours(matrix, 5)
    expected = cosines @ dense / cosines.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores_of(score_blocks(matrix, neighbours, 8)), expected, atol=1e-5)
    user, item = np.divmod(np.arange(0, 37 * 12, 2), 12)
    counts = neighbours_with_item(neighbours, matrix, user, item, block_users=10)
    np.testing.assert_array_equal(counts, ((cosines > 0).astype(int) @ (dense > 0))[user, item])


def test_planted_tastes_are_found_and_segments_keep_neighbours_apart():
    before, after, groups = planted_tastes()
    found = hit_share(scores_of(score_blocks(before, nearest_neighbours(before))), before, after)
    inside = nearest_neighbours(before, segments=groups)
    in_segment = hit_share(scores_of(score_blocks(before, inside)), before, after)
    assert found > 1.3 * popularity_hit_share(before, after)
    assert in_segment > found
    user, neighbour = inside.nonzero()
    np.testing.assert_array_equal(groups[user], groups[neighbour])


def test_only_the_pool_can_be_neighbours(dense):
    found = nearest_neighbours(sparse.csr_array(dense), 5, pool=4)
    assert len(np.unique(found.indices)) == 4
    assert set(found.indices) == {0, 12, 24, 36}
    assert not found.diagonal().any()


def test_a_user_without_a_similar_one_has_no_neighbour_and_no_scores():
    matrix = sparse.csr_array(np.eye(3))
    neighbours = nearest_neighbours(matrix, 2)
    assert neighbours.nnz == 0
    assert not scores_of(score_blocks(matrix, neighbours)).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 4), (3, 0), (1, 1)])
def test_empty_and_all_zero(shape):
    matrix = sparse.csr_array(shape, dtype=np.float32)
    neighbours = nearest_neighbours(matrix, 2)
    assert neighbours.shape == (shape[0], shape[0])
    assert neighbours.nnz == 0
    assert sum(len(scores) for _, scores in score_blocks(matrix, neighbours)) == shape[0]
    assert len(neighbours_with_item(neighbours, matrix, np.zeros(0, int), np.zeros(0, int))) == 0
