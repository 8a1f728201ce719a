"""k-means with a number of segments chosen among candidates, or refitted from the centres of the last fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from manyfaces.segments.candidates import candidate_row
from manyfaces.segments.inputs import Clustering, FitInputs
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.scan import Fit, measured_row, scan_numbers, take_sample
from manyfaces.segments.users import nearest_centre

MODEL_VERSION = "kmeans-4"

# Users on which the candidates are tried; the chosen one is then fitted to everybody.
SCAN_USERS = 20_000
# Above this many users the last fit goes through them in mini-batches.
FULL_FIT_USERS = 500_000


def fit_kmeans(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Choose the number of segments on a sample and fit everybody; see `validate_spec` for the settings.

    Given the centres of the last fit, their number stays and Lloyd's iterations go on from them.

    Raises:
        ValueError: If the given centres have another number of dimensions than the vectors.
    """
    if inputs.start is not None:
        return _refit(inputs)
    sample = take_sample(inputs, SCAN_USERS)
    rows, fit = scan_numbers(spec, sample, _fit_number)
    if fit is None:
        return Clustering(np.zeros(len(inputs.vectors), int), inputs.vectors[:1], rows)
    if len(inputs.vectors) <= len(sample.rows):
        centres = fit.model.cluster_centers_
    else:
        centres = refine_centres(inputs.vectors, fit.model.cluster_centers_, inputs.seed)
    return _clustering(inputs, centres, rows)


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


def refine_centres(vectors: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    """Lead centres of a sample, or of the last fit, to those of all users.

    Up to SCAN_USERS until no user changes the segment, up to FULL_FIT_USERS until centres hardly move, beyond
    in mini-batches.

    Args:
        vectors: (n, d) finite numbers.
        start: (k, d) centres to start from.
        seed: Seed of the mini-batches.

    Returns:
        (k, d) centres.
    """
    if len(vectors) <= SCAN_USERS:
        return kmeans_from(vectors.astype(np.float64), start)[1]
    if len(vectors) <= FULL_FIT_USERS:
        # Elkan's bounds give the same centres as Lloyd's iterations in less than half the time.
        model = KMeans(len(start), init=start, n_init=1, algorithm="elkan")
        return model.fit(vectors.astype(np.float64)).cluster_centers_
    model = MiniBatchKMeans(len(start), init=start, n_init=1, batch_size=10_000, random_state=seed)
    return model.fit(vectors).cluster_centers_


def _refit(inputs: FitInputs) -> Clustering:
    """Go on from the centres of the last fit, without those that no user is left for when users are few."""
    start = np.asarray(inputs.start, dtype=np.float64)
    points = inputs.vectors
    if not len(points):
        return Clustering(np.zeros(0, int), points[:0], [])
    if start.ndim != 2 or start.shape[1] != points.shape[1]:
        raise ValueError(
            f"The last centres have the shape {start.shape}, but vectors have {points.shape[1]} dimensions: "
            "they are not of one space. Fit anew without a start."
        )
    sample = take_sample(inputs, SCAN_USERS)
    reason = f"Refitted from the last centres, {len(start)} segments: no new vote."
    if sample.distinct <= len(start):
        start = start[np.unique(nearest_centre(points, start))]
        labels = nearest_centre(sample.points, start)
        reason = f"Kept the last centres: only {sample.distinct} users differ."
        row = candidate_row(len(start), measure_quality(sample.points, labels, inputs.seed), reason=reason)
        return _clustering(inputs, start, [row | {"is_champion": True}])
    centres = refine_centres(points, start, inputs.seed)
    row = measured_row(sample, _nearest(centres, sample.points), len(centres), _fit_number, reason=reason)
    return _clustering(inputs, centres, [row | {"is_champion": True}])


def _fit_number(points: np.ndarray, number: int, starts: int, seed: int) -> Fit:
    model = KMeans(number, n_init=starts, random_state=seed).fit(points)
    return Fit(model.labels_, model.predict, model, {})


def _nearest(centres: np.ndarray, points: np.ndarray) -> Fit:
    """Return the segments of the nearest centres as a fit."""
    return Fit(nearest_centre(points, centres), lambda others: nearest_centre(others, centres), centres, {})


def _clustering(inputs: FitInputs, centres: np.ndarray, rows: list[dict]) -> Clustering:
    centres = centres.astype(np.float32).round(6)
    return Clustering(nearest_centre(inputs.vectors, centres), centres, rows)
