"""k-means with a number of segments chosen among candidates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments.candidates import candidate_row, elect
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.users import hash_sample, nearest_centre

MODEL_VERSION = "kmeans-2"

# Users on which the candidates are tried; the chosen one is then fitted to everybody.
SCAN_USERS = 20_000
# Above this many users the last fit goes through them in mini-batches.
FULL_FIT_USERS = 500_000

# Stability: mean adjusted Rand index of this many refits, each on a random half of the users.
STABILITY_REFITS = 5
STABILITY_STARTS = 4


def fit_kmeans(
    spec: dict[str, Any], points: np.ndarray, keys: pl.Series, seed: int
) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Choose the number of segments on a sample, fit everybody; return labels, centres, candidates."""
    wanted = sorted(set(spec["candidates"]))
    sample = points[hash_sample(keys, SCAN_USERS)].astype(np.float64)
    distinct, copy_of = np.unique(sample, axis=0, return_inverse=True)
    possible = [number for number in wanted if number < len(distinct)]
    rejected = [
        candidate_row(number, None, None, f"Not tried: only {len(distinct)} users differ.")
        for number in wanted
        if number >= len(distinct)
    ]
    if not possible and len(distinct) > 2:
        possible = [len(distinct) - 1]
    if not possible:
        reason = f"One segment: only {len(distinct)} users differ."
        only = candidate_row(1, measure_quality(sample, np.zeros(len(sample), int)), None, reason)
        only["is_champion"] = True
        return np.zeros(len(points), int), points[:1], [only, *rejected] if len(points) else []

    # A candidate at the edge of the list is judged by what lies beyond it, too.
    guards = {max(possible[0] - 1, 2), min(_next_beyond(possible), len(distinct) - 1)} - set(possible)
    centres, rows = {}, []
    for number in sorted(guards | set(possible)):
        model = KMeans(number, n_init=10, random_state=seed).fit(sample)
        stability = _stability(sample, copy_of.reshape(-1), model.labels_, number, seed)
        centres[number] = model.cluster_centers_
        rows.append(candidate_row(number, measure_quality(sample, model.labels_, seed), stability, ""))
    champion = elect(rows, possible, spec.get("min_segment_share") or 0)

    start = centres[champion["clusters"]]
    if len(points) <= len(sample):
        found = start
    elif len(points) <= FULL_FIT_USERS:
        found = kmeans_from(points.astype(np.float64), start)[1]
    else:
        model = MiniBatchKMeans(len(start), init=start, n_init=1, batch_size=10_000, random_state=seed)
        found = model.fit(points).cluster_centers_
    found = found.astype(np.float32).round(6)
    return nearest_centre(points, found), found, rows + rejected


def kmeans_from(vectors: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Run Lloyd's iterations from given centres until no user changes the segment.

    Args:
        vectors: (n, d) finite numbers.
        start: (k, d) centres to start from.

    Returns:
        labels (n,), centres (k, d), and the inertia: the sum of squared distances to the own centre.
    """
    model = KMeans(len(start), init=start, n_init=1, tol=0).fit(vectors)
    return model.labels_, model.cluster_centers_, float(model.inertia_)


def _next_beyond(numbers: Sequence[int]) -> int:
    """Continue an ascending list of candidates by one: the same ratio as between its last two, at least 1."""
    last = numbers[-1]
    return last + max(1, round(last * (last / numbers[-2] - 1))) if len(numbers) > 1 else last + 1


def _stability(
    sample: np.ndarray, copy_of: np.ndarray, labels: np.ndarray, number: int, seed: int
) -> float | None:
    """Mean adjusted Rand index between `labels` and what refits on random halves say about everybody."""
    random = np.random.default_rng(seed)
    scores = []
    for _ in range(STABILITY_REFITS):
        half = np.sort(random.permutation(len(sample))[: len(sample) // 2])
        if len(np.unique(copy_of[half])) > number:
            model = KMeans(number, n_init=STABILITY_STARTS, random_state=seed).fit(sample[half])
            scores.append(adjusted_rand_score(labels, model.predict(sample)))
    return round(float(np.mean(scores)), 6) if scores else None
