import numpy as np
import pytest
from scipy import sparse

from manyfaces.embeddings.factors import factorise


def planted(rank=3, users=60, items=40, noise=0.0):
    random = np.random.default_rng(4)
    exact = random.normal(size=(users, rank)) @ random.normal(size=(rank, items))
    return exact + noise * random.normal(size=exact.shape)


def test_a_planted_low_rank_is_rebuilt_and_not_exceeded():
    matrix = planted(rank=3)
    factors = factorise(sparse.csr_array(matrix), 10, 7).arrays
    assert factors["users"].shape == (60, 3)
    assert factors["items"].shape == (40, 3)
    np.testing.assert_allclose(factors["users"] @ factors["items"].T, matrix, atol=1e-4)


def test_fewer_factors_are_the_best_approximation_of_that_rank():
    matrix = planted(rank=6, noise=0.1)
    artifact = factorise(sparse.csr_array(matrix), 2, 7)
    singular_values = np.linalg.svd(matrix, compute_uv=False)
    rebuilt = artifact.arrays["users"] @ artifact.arrays["items"].T
    best_error = np.sqrt(np.square(singular_values[2:]).sum())
    assert np.linalg.norm(rebuilt - matrix) == pytest.approx(best_error, rel=1e-3)
    np.testing.assert_allclose(artifact.arrays["singular_values"], singular_values[:2], rtol=1e-3)
    share = np.square(singular_values[:2]).sum() / np.square(singular_values).sum()
    assert artifact.meta["metrics"]["explained_share"] == pytest.approx(share, abs=1e-3)


def test_users_and_items_share_each_factor_equally():
    factors = factorise(sparse.csr_array(planted()), 3, 7).arrays
    lengths = [np.square(factors[side]).sum(axis=0) for side in ("users", "items")]
    np.testing.assert_allclose(lengths[0], factors["singular_values"], rtol=1e-4)
    np.testing.assert_allclose(lengths[1], factors["singular_values"], rtol=1e-4)


def test_signs_do_not_depend_on_the_seed_or_the_sign_of_the_solver():
    matrix = sparse.csr_array(planted(noise=0.01))
    first, second = factorise(matrix, 3, 1).arrays, factorise(matrix, 3, 2).arrays
    np.testing.assert_allclose(first["users"], second["users"], atol=1e-3)
    largest = np.abs(first["users"]).argmax(axis=0)
    assert (first["users"][largest, range(3)] > 0).all()


def test_the_same_seed_gives_the_same_bits():
    matrix = sparse.csr_array(planted(noise=0.5))
    first, second = factorise(matrix, 5, 7).arrays, factorise(matrix, 5, 7).arrays
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0), (1, 1), (1, 5), (5, 1), (3, 4)])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_tiny_constant_and_empty_matrices_do_not_crash(shape, fill):
    factors = factorise(sparse.csr_array(np.full(shape, fill)), 64, 7).arrays
    assert factors["users"].shape == (shape[0], 1)
    assert factors["items"].shape == (shape[1], 1)
    np.testing.assert_allclose(factors["users"] @ factors["items"].T, np.full(shape, fill), atol=1e-5)
