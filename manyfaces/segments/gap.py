"""The gap statistic: how much tighter segments are than on data without any (Tibshirani et al. 2001)."""

from collections.abc import Callable, Sequence

import numpy as np

from manyfaces.segments.quality import segment_means

# Reference sets, and users of each. The error of the mean over five sets is about half their spread.
REFERENCE_SETS = 5
GAP_USERS = 2_000


def gap_sample(users: int, seed: int) -> np.ndarray:
    """Return the ascending rows of at most GAP_USERS users."""
    if users <= GAP_USERS:
        return np.arange(users)
    return np.sort(np.random.default_rng(seed).choice(users, GAP_USERS, replace=False))


def reference_sets(points: np.ndarray, seed: int, sets: int = REFERENCE_SETS) -> list[np.ndarray]:
    """Return data without segments: uniform in the box along the principal axes of `points`.

    Args:
        points: (n, d) finite numbers.
        seed: Seed of the random numbers.
        sets: Number of sets.

    Returns:
        Arrays (n, d), variant (b) of Tibshirani, Walther and Hastie (2001), section 3.
    """
    random = np.random.default_rng(seed)
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    along = (points - middle) @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    return [random.uniform(low, high, along.shape) @ axes + middle for _ in range(sets)]


def gap_statistic(
    points: np.ndarray,
    labels: np.ndarray,
    references: Sequence[np.ndarray],
    divide: Callable[[np.ndarray], np.ndarray],
) -> tuple[float | None, float | None]:
    """Compare the spread within segments of the points with that on references.

    Args:
        points: (n, d) finite numbers.
        labels: (n,) the segments that the algorithm finds on them.
        references: Sets of the same shape, see `reference_sets`.
        divide: Gives the (n,) labels from 0 on that the algorithm finds on a reference.

    Returns:
        Gap: mean over the references of ln W minus ln W of the points, W = sum of squared distances to the
        own centre; higher is better. Error: the standard deviation over the B references times
        sqrt(1 + 1 / B). Both rounded to 6 digits, None where a W is 0 or there is no reference.
    """
    if not references:
        return None, None
    within = spread_within(points, labels)
    expected = np.array([spread_within(reference, divide(reference)) for reference in references])
    if within <= 0 or (expected <= 0).any():
        return None, None
    logs = np.log(expected)
    error = logs.std() * np.sqrt(1 + 1 / len(logs))
    return round(float(logs.mean() - np.log(within)), 6), round(float(error), 6)


def spread_within(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the sum of squared distances of (n, d) points to the mean of their segment."""
    found, codes = np.unique(labels, return_inverse=True)
    return float(((points - segment_means(points, codes, len(found))[codes]) ** 2).sum())
