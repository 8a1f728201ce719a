"""Stability: do half of the users give the same segments? (Ben-Hur, Elisseeff and Guyon 2002)."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import adjusted_rand_score

# Refits, each on a random half of the users.
REFITS = 5


def half_sample_stability(
    points: np.ndarray,
    labels: np.ndarray,
    refit: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray] | None],
    seed: int,
    refits: int = REFITS,
) -> float | None:
    """Measure how far segments come out the same from other users.

    Args:
        points: (n, d) finite numbers.
        labels: (n,) segments found on all points, below 0 for noise.
        refit: Takes the rows of a half and returns a function that gives the labels of the points by the
            segments of that half, or None where the half is too little.
        seed: Seed of the halves.
        refits: Number of halves.

    Returns:
        Mean over the halves of the adjusted Rand index between `labels` and what the half says about
        everybody, over users who are noise in neither; rounded to 6 digits, None without any refit or if
        all users are noise.
    """
    if not (labels >= 0).any():
        return None
    random = np.random.default_rng(seed)
    scores = []
    for _ in range(refits):
        half = np.sort(random.permutation(len(points))[: len(points) // 2])
        predict = refit(half)
        if predict is None:
            continue
        again = predict(points)
        both = (labels >= 0) & (again >= 0)
        scores.append(adjusted_rand_score(labels[both], again[both]) if both.any() else 0.0)
    return round(float(np.mean(scores)), 6) if scores else None
