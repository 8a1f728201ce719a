"""GF-CF against its formula written out with dense matrices, and on planted tastes."""

import numpy as np
import pytest
from planted import hit_share, planted_tastes, popularity_hit_share, scores_of
from scipy import sparse

from manyfaces.recommendations.graph_filter import leading_vectors, normalised, score_blocks, strongest_links


def random_matrix(users: int = 90, items: int = 40, seed: int = 2) -> sparse.csr_array:
    random = np.random.default_rng(seed)
    values = random.uniform(0.2, 2.5, (users, items)) * (random.random((users, items)) < 0.2)
    values[3], values[:, 5] = 0, 0
    return sparse.csr_array(values.astype(np.float32))


def by_the_book(matrix: sparse.csr_array, dims: int, share: float) -> np.ndarray:
    dense = matrix.toarray().astype(np.float64)
    with np.errstate(divide="ignore"):
        user_scale, item_scale = (dense.sum(axis=axis) ** -0.5 for axis in (1, 0))
    user_scale[np.isinf(user_scale)], item_scale[np.isinf(item_scale)] = 0, 0
    scaled = user_scale[:, None] * dense * item_scale
    vectors = np.linalg.svd(scaled)[2][:dims].T
    low_pass = item_scale[:, None] * (vectors @ vectors.T) * np.sqrt(dense.sum(axis=0))
    return dense @ (scaled.T @ scaled + share * low_pass)


def test_scores_are_those_of_the_formula_in_blocks():
    matrix = random_matrix()
    found = scores_of(score_blocks(matrix, dims=6, low_pass_share=0.3, block_users=17))
    np.testing.assert_allclose(found, by_the_book(matrix, 6, 0.3), atol=2e-4)


def test_leading_vectors_span_those_of_an_exact_decomposition():
    scaled, _ = normalised(random_matrix(400, 120))
    found = leading_vectors(scaled, 5, seed=1, iterations=12)
    exact = np.linalg.svd(scaled.toarray())[2][:5].T
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.abs(np.sum(found * exact, axis=0)), 1, atol=1e-3)


def test_links_keep_the_strongest_of_every_row():
    scaled, _ = normalised(random_matrix())
    full = (scaled.T @ scaled).toarray()
    found = strongest_links(scaled, 4).toarray()
    assert ((found > 0).sum(axis=1) <= 4).all()
    for row in range(40):
        np.testing.assert_allclose(np.sort(found[row])[-4:], np.sort(full[row])[-4:], rtol=1e-5)
        np.testing.assert_allclose(found[row][found[row] > 0], full[row][found[row] > 0], rtol=1e-5)


def test_planted_tastes_are_found():
    before, after, _ = planted_tastes()
    found = hit_share(scores_of(score_blocks(before, dims=3)), before, after)
    assert found > 1.3 * popularity_hit_share(before, after)


def test_the_same_seed_gives_the_same_scores():
    matrix = random_matrix()
    first, second = (scores_of(score_blocks(matrix, dims=4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1), (3, 5)])
def test_nothing_known_gives_zeros(shape):
    blocks = list(score_blocks(sparse.csr_array(shape, dtype=np.float32)))
    assert sum(len(scores) for _, scores in blocks) == shape[0]
    assert not any(scores.any() for _, scores in blocks)
