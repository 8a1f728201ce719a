"""Neighbours against brute force."""

import numpy as np
import pytest
from scipy import sparse

from manyfaces.recommendations.neighbours import nearest_neighbours, user_based_scores


def test_neighbours_equal_brute_force_in_blocks():
    dense = np.random.default_rng(4).random((37, 12)) * (np.random.default_rng(5).random((37, 12)) < 0.5)
    indices, cosines = nearest_neighbours(sparse.csr_array(dense), 5, block_users=10)
    lengths = np.linalg.norm(dense, axis=1)
    expected = dense @ dense.T / np.outer(lengths, lengths)
    np.fill_diagonal(expected, -1)
    np.testing.assert_array_equal(indices, np.argsort(-expected, axis=1)[:, :5])
    np.testing.assert_allclose(cosines, -np.sort(-expected, axis=1)[:, :5], atol=1e-6)


def test_a_user_without_a_similar_one_has_no_neighbour():
    indices, cosines = nearest_neighbours(sparse.csr_array(np.eye(3)), 2)
    assert (indices == -1).all()
    assert not cosines.any()


@pytest.mark.filterwarnings("error")
def test_empty_and_all_zero():
    assert nearest_neighbours(sparse.csr_array((0, 4)), 2)[0].shape == (0, 2)
    assert (nearest_neighbours(sparse.csr_array((3, 4)), 2)[0] == -1).all()


def test_no_similarity_gives_no_score():
    assert user_based_scores(np.zeros(2), np.ones((2, 3))).tolist() == [0, 0, 0]


def test_score_is_one_number_per_item_within_the_range_of_the_ratings():
    ratings = np.array([[5.0, 1, 0], [3, 1, 4]])
    np.testing.assert_allclose(user_based_scores(np.array([0.5, 0.25]), ratings), [13 / 3, 1, 4 / 3])
