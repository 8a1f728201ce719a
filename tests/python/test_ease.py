"""EASE^R against its formula written out, and its two forms against each other."""

import numpy as np
import pytest
from scipy import sparse

from manyfaces.recommendations.ease import (
    absolute_regularisation,
    item_form_blocks,
    item_weights,
    regularised_inverse,
    score_blocks,
    user_form_blocks,
)


def random_matrix(users: int, items: int, density: float = 0.2, seed: int = 3) -> sparse.csr_array:
    generator = np.random.default_rng(seed)
    values = generator.uniform(0.2, 2.5, (users, items)) * (generator.random((users, items)) < density)
    return sparse.csr_array(values.astype(np.float32))


def ease_by_the_book(matrix: sparse.csr_array, regularisation: float) -> np.ndarray:
    dense = matrix.toarray().astype(np.float64)
    precision = np.linalg.inv(dense.T @ dense + regularisation * np.eye(dense.shape[1]))
    weights = np.eye(dense.shape[1]) - precision / np.diag(precision)
    return dense @ weights


def stacked(blocks) -> np.ndarray:
    return np.vstack([scores for _, scores in blocks])


def test_inverse_is_the_inverse_beyond_one_mirror_block():
    half = np.random.default_rng(1).standard_normal((1500, 1500)).astype(np.float32) / 40
    gram = half @ half.T
    inverse = regularised_inverse(gram.copy(), 2.0)
    np.testing.assert_allclose(inverse @ (gram + 2 * np.eye(1500)), np.eye(1500), atol=1e-4)
    np.testing.assert_array_equal(inverse, inverse.T)


def test_inverse_works_in_the_memory_it_is_given():
    gram = np.eye(4)
    assert np.shares_memory(regularised_inverse(gram, 1.0), gram)


def test_singular_matrix_is_refused_with_advice():
    with pytest.raises(ValueError, match="regularisation"):
        regularised_inverse(np.ones((3, 3)), 0.0)


def test_item_weights_have_no_diagonal_and_solve_the_constrained_least_squares():
    matrix = random_matrix(80, 12)
    weights = item_weights(matrix, 5.0)
    assert not weights.diagonal().any()
    dense = matrix.toarray().astype(np.float64)
    for item in range(12):
        others = np.delete(np.arange(12), item)
        gram = dense[:, others].T @ dense[:, others] + 5 * np.eye(11)
        expected = np.linalg.solve(gram, dense[:, others].T @ dense[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-4)


@pytest.mark.parametrize(("users", "items"), [(60, 25), (25, 60)])
@pytest.mark.parametrize("form", [item_form_blocks, user_form_blocks])
def test_both_forms_equal_the_formula(form, users, items):
    matrix = random_matrix(users, items)
    scores = stacked(form(matrix, 3.0, block_users=7))
    np.testing.assert_allclose(scores, ease_by_the_book(matrix, 3.0), atol=1e-4)


def test_scores_use_the_weights_and_not_their_transpose():
    matrix = random_matrix(60, 25)
    weights = item_weights(matrix, 3.0)
    scores = stacked(item_form_blocks(matrix, 3.0))
    np.testing.assert_allclose(scores, matrix @ weights, atol=1e-5)
    assert np.abs(scores - matrix @ weights.T).max() > 0.01


@pytest.mark.parametrize(("users", "items"), [(300, 40), (40, 300)])
def test_forms_agree_when_one_item_is_in_every_row_and_regularisation_is_small(users, items):
    matrix = random_matrix(users, items).tolil()
    matrix[:, 0] = 3.0
    matrix = matrix.tocsr()
    item_form = stacked(item_form_blocks(matrix, 0.5))
    user_form = stacked(user_form_blocks(matrix, 0.5))
    np.testing.assert_allclose(item_form, user_form, atol=1e-3)


def test_item_limit_keeps_the_first_columns_and_says_so(capsys):
    matrix = random_matrix(50, 30)
    scores = stacked(score_blocks(matrix, 2.0, max_items=20))
    used = matrix[:, :20]
    np.testing.assert_allclose(scores, ease_by_the_book(used, absolute_regularisation(used, 2.0)), atol=1e-4)
    assert "20 most used of 30 items" in capsys.readouterr().err


def test_item_limit_does_not_bind_when_users_are_few(capsys):
    matrix = random_matrix(15, 30)
    assert stacked(score_blocks(matrix, 3.0, max_items=20)).shape == (15, 30)
    assert "most used" not in capsys.readouterr().err


def test_result_does_not_depend_on_the_blocks():
    matrix = random_matrix(90, 30)
    small = stacked(score_blocks(matrix, 3.0, max_items=100, block_users=11))
    large = stacked(score_blocks(matrix, 3.0, max_items=100))
    np.testing.assert_array_equal(small, large)


def test_relative_regularisation_is_the_mean_eigenvalue_of_the_smaller_gram_matrix():
    matrix = random_matrix(30, 18)
    dense = matrix.toarray().astype(np.float64)
    expected = np.linalg.eigvalsh(dense.T @ dense).mean()
    assert absolute_regularisation(matrix, 1.0) == pytest.approx(expected)
    assert absolute_regularisation(matrix.T.tocsr(), 2.0) == pytest.approx(2 * expected)


def test_twice_the_same_users_give_the_same_scores():
    matrix = random_matrix(60, 25)
    doubled = sparse.vstack([matrix, matrix]).tocsr()
    once = stacked(score_blocks(matrix, 2.0, max_items=100))
    twice = stacked(score_blocks(doubled, 2.0, max_items=100))
    np.testing.assert_allclose(twice[:60], once, atol=1e-5)
