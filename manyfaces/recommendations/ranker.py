"""The ranker: how likely a user takes a candidate, learned from what users took after an earlier wall.

Two models of the same features. The linear one is a logistic regression in the features and their squares;
a segment may weigh the features in its own way, drawn towards the common weights by a ridge penalty (a
normal prior centred at them, as in the hierarchical models of Gelman and Hill, 2006, ch. 12), so that a small
segment stays near them. How strong the pull is, up to no segment weights at all, is chosen on users that were
held out. Its weights are a table that SQL applies. The boosted one (gradient-boosted trees, Friedman 2001, by
scikit-learn) sees what no weight can say, and is dearer; the mean of the two logits was better than either on
every wall that was tried.

Examples are rows of training_examples: all candidates that were taken and a sample of the others with the
inverse sampling rate as their weight, so that probabilities stay calibrated.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

MODEL_VERSION = "ranker-1"
LISTS = ("for_you", "discover")
EVERYONE = "everyone"
"""Stands in the place of a segment for the weights of all users."""
INTERCEPT = "intercept"
PENALTIES = (30.0, 300.0, 3000.0)
"""Pulls towards the common weights that are tried, in units of a standardised example; beside them: no
segment weights."""
HELD_OUT_SHARE = 0.2
BOOSTED_PARAMETERS = {
    "max_iter": 100,
    "learning_rate": 0.08,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "early_stopping": False,
}
SCORED_ROWS = 1_000_000
MIN_TAKEN = 500
"""With fewer taken candidates nothing is learned: about ten for each coefficient (Peduzzi et al., "A
simulation study of the number of events per variable in logistic regression analysis", 1996). Seventy of a
small crowd learned that lamps follow three ropes."""


@dataclass(frozen=True)
class Examples:
    """Candidates at the earlier wall."""

    features: np.ndarray
    """(rows, features) float32, finite."""
    taken: np.ndarray
    """(rows,) bool."""
    weights: np.ndarray
    """(rows,) float, inverse sampling rate."""
    users: np.ndarray
    """(rows,) number of the user."""
    segments: np.ndarray
    """(rows,) text, the user's segment, or the empty text."""


@dataclass(frozen=True)
class Weights:
    """Linear weights of one list, in the features as they are, not standardised."""

    segment: str
    """EVERYONE or a segment."""
    intercept: float
    linear: np.ndarray
    """(features,) weight of a feature."""
    squared: np.ndarray
    """(features,) weight of its square."""
    takers: int
    """Taken candidates behind them."""


def fit_logistic(
    design: np.ndarray,
    taken: np.ndarray,
    weights: np.ndarray,
    *,
    penalty: float,
    offset: np.ndarray | float = 0.0,
    start: np.ndarray | None = None,
    steps: int = 30,
) -> np.ndarray:
    """Fit a ridge-penalised logistic regression by Newton's method.

    Args:
        design: (rows, columns) float64.
        taken: (rows,) 0 or 1.
        weights: (rows,) weight of each row.
        penalty: half of it times the squared length of the coefficients is added to the log loss.
        offset: (rows,) logit that is there already; the coefficients come on top of it.
        start: (columns,) where to begin; zeros by default.
        steps: Newton steps at most; fewer once a step changes nothing.

    Returns:
        (columns,) coefficients.
    """
    coefficients = np.zeros(design.shape[1]) if start is None else start.copy()

    def loss(coefficients: np.ndarray, logits: np.ndarray) -> float:
        log_loss = weights @ (np.logaddexp(0, logits) - taken * logits)
        return float(log_loss + penalty / 2 * coefficients @ coefficients)

    logits = offset + design @ coefficients
    for _ in range(steps):
        probability = expit(logits)
        gradient = design.T @ (weights * (probability - taken)) + penalty * coefficients
        curvature = weights * probability * (1 - probability)
        hessian = design.T @ (design * curvature[:, None])
        hessian[np.diag_indices_from(hessian)] += penalty + 1e-9
        step = np.linalg.solve(hessian, gradient)
        # Far from the optimum a full Newton step can overshoot, and go back and forth for ever.
        before = loss(coefficients, logits)
        while True:
            logits = offset + design @ (coefficients - step)
            if loss(coefficients - step, logits) <= before or np.abs(step).max() < 1e-6:
                break
            step = step / 2
        coefficients = coefficients - step
        if np.abs(step).max() < 1e-5:
            break
    return coefficients


def fit_linear(examples: Examples, seed: int) -> tuple[list[Weights], dict[str, float | str]]:
    """Fit the weights of everyone, and those of each segment where they foresee held-out users better.

    Args:
        examples: of one list.
        seed: decides which users are held out.

    Returns:
        The weights, those of everyone first, and what was measured: log loss of held-out users by the pull
        towards the common weights, and the pull that was chosen.
    """
    rows = np.hstack([examples.features, np.square(examples.features)]).astype(np.float64)
    mean = np.average(rows, axis=0, weights=examples.weights)
    spread = np.sqrt(np.average(np.square(rows - mean), axis=0, weights=examples.weights))
    spread = np.where(spread > 1e-9, spread, np.inf)
    design = np.column_stack([np.ones(len(rows)), (rows - mean) / spread])
    taken = examples.taken.astype(np.float64)
    users = np.unique(examples.users)
    held_out = np.random.default_rng(seed).permutation(users)[: round(HELD_OUT_SHARE * len(users))]
    out = np.isin(examples.users, held_out)
    # Only the features themselves differ by segment: their squares would double what a small one has to bear.
    own = design[:, : 1 + examples.features.shape[1]]

    names = [str(name) for name in np.unique(examples.segments) if name]
    members_of = {name: np.flatnonzero(examples.segments == name) for name in names}

    def deviations(rows: np.ndarray, common: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        found = {}
        for segment, members in members_of.items():
            members = members[rows[members]]
            if len(members):
                found[segment] = fit_logistic(
                    own[members],
                    taken[members],
                    examples.weights[members],
                    penalty=penalty,
                    offset=design[members] @ common,
                )
        return found

    def loss(logits: np.ndarray, rows: np.ndarray) -> float:
        losses = np.logaddexp(0, logits) - taken[rows] * logits
        return float(np.average(losses, weights=examples.weights[rows]))

    measured: dict[str, float | str] = {}
    penalty, common = None, None
    if out.any() and taken[~out].any():
        common = fit_logistic(design[~out], taken[~out], examples.weights[~out], penalty=1.0)
        measured["log_loss_common"] = best = loss(design[out] @ common, out)
        for tried in PENALTIES:
            logits = design @ common
            for segment, deviation in deviations(~out, common, tried).items():
                members = members_of[segment]
                logits[members] += own[members] @ deviation
            measured[f"log_loss_penalty_{tried:g}"] = value = loss(logits[out], out)
            if value < best:
                best, penalty = value, tried
    measured["segment_penalty"] = "none" if penalty is None else penalty
    common = fit_logistic(design, taken, examples.weights, penalty=1.0, start=common)

    def unstandardised(coefficients: np.ndarray, segment: str, members: np.ndarray) -> Weights:
        scaled = coefficients[1:] / spread
        count = examples.features.shape[1]
        return Weights(
            segment=segment,
            intercept=float(coefficients[0] - scaled @ mean),
            linear=scaled[:count],
            squared=scaled[count:],
            takers=int(taken[members].sum()),
        )

    everyone = np.ones(len(taken), bool)
    weights = [unstandardised(common, EVERYONE, everyone)]
    if penalty is not None:
        for segment, deviation in deviations(everyone, common, penalty).items():
            combined = common.copy()
            combined[: len(deviation)] += deviation
            weights.append(unstandardised(combined, segment, members_of[segment]))
    return weights, measured


def linear_logits(features: np.ndarray, weights: Weights) -> np.ndarray:
    """Apply the weights as SQL does.

    Args:
        features: (rows, features).
        weights: of one list and segment.

    Returns:
        (rows,) logits.
    """
    features = features.astype(np.float64)
    return weights.intercept + features @ weights.linear + np.square(features) @ weights.squared


def boosted_logits(examples: Examples, features: np.ndarray, seed: int) -> np.ndarray:
    """Fit boosted trees and score candidates with them.

    Args:
        examples: of one list.
        features: (rows, features) float32 of the candidates.
        seed: of the trees.

    Returns:
        (rows,) logits.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second to load

    # A feature that is the same everywhere cannot be binned, and says nothing.
    varies = np.ptp(examples.features, axis=0) > 0
    if not varies.any() or len(features) == 0:
        return np.zeros(len(features))
    trees = HistGradientBoostingClassifier(**BOOSTED_PARAMETERS, random_state=seed)
    trees.fit(examples.features[:, varies], examples.taken, sample_weight=examples.weights)
    # scikit-learn copies what it scores as doubles: a part at a time.
    parts = range(0, len(features), SCORED_ROWS)
    return np.concatenate(
        [trees.decision_function(features[start : start + SCORED_ROWS, varies]) for start in parts]
    )


def multi_task_logits(
    examples: Examples, features: np.ndarray, segments: np.ndarray, seed: int
) -> np.ndarray:
    """Fit the multi-task ranker and score candidates with it.

    It learns from examples as they were sampled, so the logarithm of how many candidates one of the others
    stands for is taken off the logit afterwards (King and Zeng, "Logistic Regression in Rare Events Data",
    2001). That number depends only on the last feature, `repeated`.

    Args:
        examples: of one list.
        features: (rows, features) float32 of the candidates, `repeated` last.
        segments: (rows,) text, the user's segment, or the empty text.
        seed: of the weights.

    Returns:
        (rows,) logits.
    """
    from manyfaces.recommendations import multi_task  # loads torch, which takes seconds

    if len(features) == 0:
        return np.zeros(0)
    fitted = multi_task.fit(
        examples.features, examples.taken.astype(np.float32), examples.users, examples.segments, seed
    )
    probabilities = np.clip(fitted.predict(features, segments), 1e-6, 1 - 1e-6)
    repeated = examples.features[:, -1] > 0
    one_in = [examples.weights[rows].max(initial=1.0) for rows in (~repeated, repeated)]
    return logit(probabilities) - np.log(np.where(features[:, -1] > 0, one_in[1], one_in[0]))
