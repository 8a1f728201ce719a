"""Predicted ratings against the closed form, and on planted tastes."""

import numpy as np
import pytest
from scipy import sparse

from manyfaces.recommendations.rating_prediction import RatingParameters, fit, held_out_errors, solve_ratings

SCALE = (1.0, 5.0)


def planted_ratings(noise: float = 0.3, seed: int = 3) -> sparse.csr_array:
    """Two tastes, kind and harsh users, good and bad items; a third of the pairs is rated, 1.0 to 5.0."""
    random = np.random.default_rng(seed)
    users, items = random.standard_normal((250, 2)), random.standard_normal((80, 2)) * 0.6
    biases = 0.4 * random.standard_normal((250, 1)) + 0.4 * random.standard_normal(80)
    full = np.clip(3 + biases + users @ items.T + noise * random.standard_normal((250, 80)), *SCALE)
    row, column = np.nonzero(random.random((250, 80)) < 0.33)
    return sparse.csr_array((full[row, column], (row, column)), shape=(250, 80))


def a_tenth(ratings: sparse.csr_array) -> np.ndarray:
    return np.random.default_rng(5).random(ratings.nnz) < 0.1


def test_rows_are_solved_as_by_the_closed_form():
    random = np.random.default_rng(1)
    deviations = planted_ratings()
    deviations.data -= 3
    fixed = random.standard_normal((80, 4))
    found = solve_ratings(deviations, fixed, 2.0)
    for row in (0, 7, 249):
        rated = deviations.indices[deviations.indptr[row] : deviations.indptr[row + 1]]
        values = deviations.data[deviations.indptr[row] : deviations.indptr[row + 1]]
        inputs = np.column_stack([fixed[rated, :3], np.ones(len(rated))])
        expected = np.linalg.solve(inputs.T @ inputs + 2 * np.eye(4), inputs.T @ (values - fixed[rated, 3]))
        np.testing.assert_allclose(found[row], expected, atol=1e-9)


def test_planted_low_rank_beats_the_biases_and_comes_near_the_noise():
    ratings = planted_ratings()
    errors = held_out_errors(ratings, a_tenth(ratings), RatingParameters(dims=4, regularisation=2.0), SCALE)
    assert errors["ratings"] > 500
    assert errors["root_mean_squared_error"] < 0.7 * errors["bias_root_mean_squared_error"]
    assert errors["mean_absolute_error"] < 0.7 * errors["bias_mean_absolute_error"]
    assert errors["root_mean_squared_error"] < 1.6 * 0.3


def test_biases_are_found_and_shrink_what_is_known_of_few():
    ratings = sparse.csr_array(np.array([[5.0, 5, 5, 5], [1, 1, 1, 1], [0, 0, 0, 3]]))
    model = fit(ratings, RatingParameters(dims=0, regularisation=1.0), SCALE)
    kind, harsh, silent = model.users[:, -1]
    assert model.mean == 3
    assert kind == pytest.approx(-harsh, abs=1e-5)
    assert kind == pytest.approx(2 * 4 / 5, abs=1e-3)  # four ratings against one that says nothing
    assert silent == pytest.approx(0, abs=1e-6)


def test_errors_are_those_written_out():
    ratings = planted_ratings()
    parameters, held_out = RatingParameters(dims=0), a_tenth(ratings)
    errors = held_out_errors(ratings, held_out, parameters, SCALE)
    known = ratings.tocoo()
    rest = sparse.csr_array(
        (known.data[~held_out], (known.row[~held_out], known.col[~held_out])), shape=ratings.shape
    )
    predicted = fit(rest, parameters, SCALE).predict(known.row[held_out], known.col[held_out])
    expected = np.mean(np.abs(predicted - known.data[held_out]))
    assert errors["mean_absolute_error"] == errors["bias_mean_absolute_error"] == pytest.approx(expected)


def test_predictions_stay_within_the_scale_and_are_the_same_again():
    ratings = planted_ratings()
    first, second = (fit(ratings, RatingParameters(), SCALE) for _ in range(2))
    user, item = np.divmod(np.arange(250 * 80), 80)
    predicted = first.predict(user, item)
    assert predicted.min() == 1
    assert predicted.max() == 5
    np.testing.assert_array_equal(predicted, second.predict(user, item))


def test_ratings_outside_the_scale_are_refused():
    with pytest.raises(ValueError, match="rating_scale, 1 to 5"):
        fit(sparse.csr_array(np.array([[7.0]])), RatingParameters(), SCALE)


@pytest.mark.filterwarnings("error")
def test_without_ratings_the_middle_is_predicted():
    model = fit(sparse.csr_array((2, 3)), RatingParameters(), SCALE)
    assert model.predict(np.array([0, 1]), np.array([2, 0])).tolist() == [3, 3]
    assert held_out_errors(sparse.csr_array((2, 3)), np.zeros(0, bool), RatingParameters(), SCALE) == {}
    assert fit(sparse.csr_array((0, 0)), RatingParameters(), SCALE).users.shape == (0, 17)
