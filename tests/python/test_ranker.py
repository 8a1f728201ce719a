"""What the ranker learns: its optimum beside scikit-learn's, planted tastes, and no surprises."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from manyfaces.recommendations.ranker import (
    EVERYONE,
    Examples,
    boosted_logits,
    fit_linear,
    fit_logistic,
    linear_logits,
    multi_task_logits,
)


def examples_of(features, taken, users, segments, weights=None) -> Examples:
    return Examples(
        features=np.asarray(features, np.float32),
        taken=np.asarray(taken, bool),
        weights=np.ones(len(taken)) if weights is None else np.asarray(weights, float),
        users=np.asarray(users),
        segments=np.asarray(segments, np.str_),
    )


def planted_segments(sizes: dict[str, int], tastes: dict[str, float], seed: int = 0) -> Examples:
    """Users of 20 candidates each; a segment takes by its own slope of the first of three features."""
    random = np.random.default_rng(seed)
    owners = np.repeat(list(sizes), [20 * users for users in sizes.values()])
    users = np.repeat(np.arange(len(owners) // 20), 20)
    features = random.normal(size=(len(owners), 3))
    slopes = np.array([tastes[owner] for owner in owners])
    chances = expit(-1 + slopes * features[:, 0] + 0.5 * features[:, 1])
    return examples_of(features, random.random(len(owners)) < chances, users, owners)


def mean_loss(logits: np.ndarray, examples: Examples) -> float:
    return float(np.mean(np.logaddexp(0, logits) - examples.taken * logits))


@pytest.fixture
def problem():
    """A design without an intercept, weights, and what was taken."""
    random = np.random.default_rng(1)
    design = random.normal([0, 0, 0, 1], 1, (400, 4))
    taken = (random.random(400) < expit(design @ [1.0, -0.5, 0.2, -1.0])).astype(float)
    return design, taken, random.choice([1.0, 2.0, 8.0], 400)


@pytest.mark.parametrize("penalty", [0.1, 3.0, 300.0])
def test_logistic_is_that_of_scikit_learn(problem, penalty) -> None:
    design, taken, weights = problem
    theirs = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-10, max_iter=1000)
    theirs.fit(design, taken, sample_weight=weights)
    ours = fit_logistic(design, taken, weights, penalty=penalty)
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=1e-5)


def test_a_weight_is_as_many_rows(problem) -> None:
    design, taken, weights = problem
    rows = np.repeat(np.arange(400), weights.astype(int))
    repeated = fit_logistic(design[rows], taken[rows], np.ones(len(rows)), penalty=2.0)
    np.testing.assert_allclose(fit_logistic(design, taken, weights, penalty=2.0), repeated, atol=1e-8)


def test_an_offset_is_a_column_whose_coefficient_is_known(problem) -> None:
    design, taken, weights = problem
    whole = fit_logistic(design, taken, weights, penalty=1e-6)
    rest = fit_logistic(design[:, :3], taken, weights, penalty=1e-6, offset=design[:, 3] * whole[3])
    np.testing.assert_allclose(rest, whole[:3], atol=1e-4)
    without = fit_logistic(design[:, :3], taken, weights, penalty=1e-6)
    assert np.abs(without - whole[:3]).max() > 0.01


def test_the_start_does_not_change_the_optimum(problem) -> None:
    design, taken, weights = problem
    cold = fit_logistic(design, taken, weights, penalty=1.0)
    far = fit_logistic(design, taken, weights, penalty=1.0, start=np.array([4.0, -4.0, 4.0, 4.0]))
    np.testing.assert_allclose(far, cold, atol=1e-6)


def test_separable_examples_stay_finite() -> None:
    design = np.column_stack([np.ones(40), np.linspace(-1, 1, 40)])
    coefficients = fit_logistic(design, design[:, 1] > 0, np.ones(40), penalty=1.0)
    assert np.isfinite(coefficients).all()
    assert coefficients[1] > 0


def test_segments_with_own_tastes_get_own_weights() -> None:
    examples = planted_segments({"a": 60, "b": 60}, {"a": 2.0, "b": -2.0})
    weights, measured = fit_linear(examples, seed=7)
    assert measured["segment_penalty"] == 30.0
    assert measured["log_loss_penalty_30"] < measured["log_loss_common"] - 0.1
    slopes = {one.segment: one.linear[0] for one in weights}
    assert list(slopes) == [EVERYONE, "a", "b"]
    assert abs(slopes[EVERYONE]) < 0.5
    assert slopes["a"] > 1
    assert slopes["b"] < -1
    assert weights[0].takers == examples.taken.sum() == weights[1].takers + weights[2].takers

    fresh = planted_segments({"a": 60, "b": 60}, {"a": 2.0, "b": -2.0}, seed=1)
    own = np.where(
        fresh.segments == "a",
        linear_logits(fresh.features, weights[1]),
        linear_logits(fresh.features, weights[2]),
    )
    assert mean_loss(own, fresh) < mean_loss(linear_logits(fresh.features, weights[0]), fresh) - 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_segments_without_own_tastes_stay_with_everyone(seed) -> None:
    examples = planted_segments({"a": 60, "b": 60, "c": 60}, dict.fromkeys("abc", 1.0), seed)
    weights, measured = fit_linear(examples, seed=7)
    if measured["segment_penalty"] == "none":
        assert [one.segment for one in weights] == [EVERYONE]
        return
    for one in weights[1:]:
        np.testing.assert_allclose(one.linear, weights[0].linear, atol=0.25)


def test_a_small_segment_stays_nearer_to_everyone() -> None:
    sizes = {"most": 150, "big": 80, "small": 4}
    weights, measured = fit_linear(planted_segments(sizes, {"most": 1.0, "big": -1.0, "small": -1.0}), seed=7)
    assert measured["segment_penalty"] != "none"
    common = weights[0].linear[0]
    deviation = {one.segment: common - one.linear[0] for one in weights[1:]}
    assert 0 < deviation["small"] < 0.6 * deviation["big"]


def test_big_segments_find_their_own_tastes_on_top_of_what_all_share() -> None:
    tastes = {"most": 2.0, "fewer": 0.5}
    weights, _ = fit_linear(planted_segments({"most": 150, "fewer": 100}, tastes), seed=7)
    assert tastes["fewer"] < weights[0].linear[0] < tastes["most"]
    for one in weights[1:]:
        assert one.linear[0] == pytest.approx(tastes[one.segment], abs=0.35)


def test_users_without_a_segment_have_no_weights_of_their_own() -> None:
    weights, _ = fit_linear(planted_segments({"a": 60, "": 60}, {"a": 2.0, "": -2.0}), seed=7)
    assert [one.segment for one in weights] == [EVERYONE, "a"]


def test_weights_are_those_of_the_standardised_design() -> None:
    random = np.random.default_rng(3)
    features = np.float32(random.normal([5, -2], [10, 0.1], (600, 2)))
    taken = random.random(600) < expit((features[:, 0] - 5) / 10)
    examples = examples_of(features, taken, np.arange(600) // 10, [""] * 600, random.choice([1, 8], 600))
    (weights,), _ = fit_linear(examples, seed=7)

    rows = np.hstack([features, features**2]).astype(float)
    mean = np.average(rows, axis=0, weights=examples.weights)
    spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=examples.weights))
    design = np.column_stack([np.ones(600), (rows - mean) / spread])
    coefficients = fit_logistic(design, taken.astype(float), examples.weights, penalty=1.0)
    np.testing.assert_allclose(linear_logits(features, weights), design @ coefficients, atol=1e-3)


def test_probabilities_are_calibrated_through_the_sampling_weights() -> None:
    random = np.random.default_rng(4)
    whole = random.normal(size=(16000, 1))
    taken = random.random(16000) < expit(whole[:, 0] - 3)
    kept = taken | (np.arange(16000) % 8 == 0)
    examples = examples_of(
        whole[kept],
        taken[kept],
        np.arange(16000)[kept] // 40,
        [""] * kept.sum(),
        np.where(taken[kept], 1, 8),
    )
    (weights,), _ = fit_linear(examples, seed=7)
    foreseen = expit(linear_logits(whole, weights))
    assert logit(foreseen.mean()) == pytest.approx(logit(taken.mean()), abs=0.05)


def test_constant_features_say_nothing() -> None:
    examples = planted_segments({"a": 40, "b": 40}, {"a": 2.0, "b": -2.0})
    # Weights that no sum holds exactly: the mean of a constant is then not quite the constant.
    weights = np.random.default_rng(6).uniform(1, 3, len(examples.taken))
    constant = np.full((len(examples.taken), 1), 9.1, np.float32)
    rest = (examples.taken, examples.users, examples.segments, weights)
    narrow, _ = fit_linear(examples_of(examples.features, *rest), 7)
    wide, _ = fit_linear(examples_of(np.hstack([examples.features, constant]), *rest), 7)
    for one, other in zip(narrow, wide, strict=True):
        assert np.isfinite(other.intercept)
        assert other.linear[3] == other.squared[3] == 0
        np.testing.assert_allclose(other.linear[:3], one.linear, atol=1e-6)


def test_one_user_is_too_few_to_choose_segment_weights() -> None:
    examples = planted_segments({"a": 1}, {"a": 2.0})
    weights, measured = fit_linear(examples, seed=7)
    assert [one.segment for one in weights] == [EVERYONE]
    assert measured == {"segment_penalty": "none"}


def test_trees_see_what_no_weight_can_say() -> None:
    random = np.random.default_rng(5)
    features = random.uniform(-1, 1, (3000, 2))
    taken = features[:, 0] * features[:, 1] > 0
    examples = examples_of(features[:2000], taken[:2000], np.arange(2000) // 20, [""] * 2000)
    wanted = np.float32(features[2000:])
    (weights,), _ = fit_linear(examples, seed=7)
    linear = linear_logits(wanted, weights) > 0
    boosted = boosted_logits(examples, wanted, seed=7) > 0
    assert np.mean(linear == taken[2000:]) < 0.65
    assert np.mean(boosted == taken[2000:]) > 0.9


def test_trees_need_something_that_varies_and_somebody_to_score() -> None:
    constant = examples_of(np.ones((60, 2)), np.arange(60) % 3 == 0, np.arange(60), [""] * 60)
    assert boosted_logits(constant, np.ones((3, 2), np.float32), seed=7).tolist() == [0, 0, 0]
    varied = planted_segments({"a": 20}, {"a": 1.0})
    assert boosted_logits(varied, np.zeros((0, 3), np.float32), seed=7).shape == (0,)


def test_trees_pass_over_a_constant_feature() -> None:
    examples = planted_segments({"a": 30}, {"a": 2.0})
    constant = np.full((len(examples.taken), 1), 3.0, np.float32)
    widened = examples_of(
        np.hstack([constant, examples.features]), examples.taken, examples.users, examples.segments
    )
    narrow = boosted_logits(examples, examples.features, seed=7)
    # Among candidates it may vary: what was never seen to matter does not.
    other = np.hstack([constant + 1, examples.features])
    np.testing.assert_array_equal(boosted_logits(widened, other, seed=7), narrow)


def test_twice_the_same_bits() -> None:
    examples = planted_segments({"a": 30, "b": 30}, {"a": 2.0, "b": -2.0})
    first, measured = fit_linear(examples, seed=7)
    second, again = fit_linear(examples, seed=7)
    assert measured == again
    for one, other in zip(first, second, strict=True):
        assert one.intercept == other.intercept
        np.testing.assert_array_equal(one.linear, other.linear)
        np.testing.assert_array_equal(one.squared, other.squared)
    trees = [boosted_logits(examples, examples.features, seed=7) for _ in range(2)]
    np.testing.assert_array_equal(*trees)


def test_the_multi_task_ranker_takes_off_what_sampling_added():
    random = np.random.default_rng(5)
    rows = 8000
    features = np.column_stack([random.normal(size=rows), random.random(rows) < 0.5]).astype(np.float32)
    taken = random.random(rows) < expit(-2 + features[:, 0])
    # As in training_examples: of new items one in eight stays, of repeated ones one in two, of the taken all.
    one_in = np.where(taken, 1, np.where(features[:, 1] > 0, 2, 8))
    kept = random.random(rows) < 1 / one_in
    examples = examples_of(
        features[kept], taken[kept], np.arange(rows)[kept] // 10, ["a"] * kept.sum(), one_in[kept]
    )
    grid = np.array([[value, repeated] for repeated in (0, 1) for value in (-1, 0, 1)], np.float32)
    found = multi_task_logits(examples, grid, np.array(["a"] * len(grid)), seed=7)
    # Without the correction new items would be off by the logarithm of eight, repeated ones by that of two.
    errors = (found - (-2 + grid[:, 0])).reshape(2, 3).mean(axis=1)
    assert np.abs(errors).max() < 0.4
