"""Percentile intervals of means by a paired bootstrap over users.

Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Draws held at a time: 64 MB of counts.
_BLOCK_DRAWS = 8_000_000


@dataclass(frozen=True)
class Interval:
    """Bounds that hold a value of so many columns at a time."""

    low: np.ndarray
    high: np.ndarray


def resampled_means(values: np.ndarray, replicates: int, seed: int | list[int]) -> np.ndarray:
    """Return the column means of samples of the users, drawn with replacement.

    Every column sees the same samples, so differences of columns are paired. Blocks are drawn one after the
    other, so the result does not depend on their size.

    Args:
        values: (users, columns) float64, what each user contributes to each column.
        replicates: number of samples, each with as many users as there are.
        seed: seed of the draws.

    Returns:
        (replicates, columns) float64.

    Raises:
        ValueError: there is no user.
    """
    users = len(values)
    if users == 0:
        raise ValueError("A bootstrap needs at least one user.")
    return np.concatenate([counts @ values for counts in _counts(users, replicates, seed)]) / users


def _counts(users: int, replicates: int, seed: int | list[int]) -> Iterator[np.ndarray]:
    """Yield blocks (replicates, users) of how often each user is drawn."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_DRAWS // users)
    for start in range(0, replicates, block):
        rows = min(block, replicates - start)
        draws = generator.integers(0, users, size=(rows, users)) + np.arange(rows)[:, None] * users
        yield np.bincount(draws.ravel(), minlength=rows * users).reshape(rows, users).astype(np.float64)


def percentile_interval(samples: np.ndarray, level: float = 0.95) -> Interval:
    """Return the bounds between which the middle `level` of the samples (replicates, columns) lies."""
    tail = (1 - level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return Interval(low, high)
