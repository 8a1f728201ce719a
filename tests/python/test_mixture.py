import numpy as np
import pytest
from segment_users import champion_of, inputs_of, planted
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from manyfaces.segments.kmeans import fit_kmeans
from manyfaces.segments.mixture import fit_gaussian_mixture

SPEC = {"name": "overlap", "encoder": "vae", "algorithm": "gaussian_mixture", "candidates": [2, 3, 4]}


def test_a_narrow_group_beside_a_wide_one_is_told_apart_where_k_means_cuts_the_wide_one():
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 600)
    vectors = random.normal(size=(600, 2)) * np.where(truth, 3, 0.3)[:, None] + 4 * truth[:, None]
    found = fit_gaussian_mixture(SPEC | {"candidates": [2]}, inputs_of(vectors))
    equal_widths = fit_kmeans(SPEC | {"algorithm": "kmeans", "candidates": [2]}, inputs_of(vectors))
    assert adjusted_rand_score(truth, found.labels) >= 0.9
    assert adjusted_rand_score(truth, equal_widths.labels) < 0.7


def test_labels_and_probabilities_equal_scikit_learn():
    vectors, _ = planted(400, dims=3, segments=3, outliers=0)
    found = fit_gaussian_mixture(SPEC | {"candidates": [3], "covariance": "full"}, inputs_of(vectors))
    exact = vectors.astype(np.float64)
    reference = GaussianMixture(3, covariance_type="full", n_init=2, random_state=7).fit(exact)
    assert adjusted_rand_score(reference.predict(exact), found.labels) == 1
    np.testing.assert_allclose(found.probability, reference.predict_proba(exact).max(axis=1), atol=0.01)
    assert champion_of(found)["parameters"]["covariance"] == "full"


def test_criterion_is_stated_and_lowest_for_the_planted_number():
    vectors, _ = planted(600, dims=4, segments=3, outliers=0)
    rows = fit_gaussian_mixture(SPEC, inputs_of(vectors)).candidates
    lowest = min(rows, key=lambda row: row["parameters"]["bic"])
    assert lowest["clusters"] == 3
    assert [row["reason"].endswith("the lowest.") for row in rows] == [row is lowest for row in rows]
    champion = next(row for row in rows if row["is_champion"])
    assert champion["clusters"] == 3
    assert champion["stability"] >= 0.95


def test_many_users_are_fitted_on_a_sample_and_all_assigned():
    vectors, truth = planted(2_000, outliers=0)
    found = fit_gaussian_mixture(SPEC | {"candidates": [6], "max_fit_users": 400}, inputs_of(vectors))
    assert adjusted_rand_score(truth, found.labels) >= 0.95
    assert ((found.probability > 1 / 6) & (found.probability <= 1)).all()


@pytest.mark.filterwarnings("error")
def test_the_unit_of_vectors_does_not_matter():
    vectors, _ = planted(300, dims=3, segments=3, outliers=0)
    small, large = (fit_gaussian_mixture(SPEC, inputs_of(vectors * unit)) for unit in (2**-10, 2**10))
    np.testing.assert_array_equal(small.labels, large.labels)
