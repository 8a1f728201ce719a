"""Ward hierarchy: segments on several levels that nest (Ward 1963)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from manyfaces.segments.inputs import Clustering, FitInputs
from manyfaces.segments.scan import Fit, measured_row, one_segment, possible_numbers, take_sample
from manyfaces.segments.settings import settings_of
from manyfaces.segments.users import nearest_centre

MODEL_VERSION = "ward-2"

# Users that the hierarchy is built on, and fine segments of k-means between which it merges.
FIT_USERS = 20_000
FINE_SEGMENTS = 200


def fit_ward(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Build a hierarchy and cut it at the levels of a declaration; see `validate_spec`.

    k-means makes fine segments of a sample, Ward's criterion merges them. The finest level gives the
    segments, and every user the nearest of their centres, so that new users can be assigned alike. Coarser
    levels merge whole segments: they nest by construction.

    Levels that hardly any users differ for are not tried. When the finest level has a segment below
    min_segment_share, the finest one without is taken.
    """
    sample = take_sample(inputs, FIT_USERS)
    levels, rejected = possible_numbers(settings_of(spec)["levels"], sample.distinct)
    if not levels:
        rows = one_segment(sample, rejected)
        return Clustering(np.zeros(len(inputs.vectors), int), inputs.vectors[:1], rows)

    fine, weights = _fine_segments(sample.points, inputs.seed)
    merges = ward_merges(fine, weights)
    ancestors = {level: cut_merges(merges, len(fine), level) for level in levels}
    centres = {level: weighted_means(fine, weights, ancestors[level]).round(6) for level in levels}
    share = spec.get("min_segment_share") or 0
    finest = _finest_level(sample.points, centres, share)
    first = np.unique(ancestors[finest], return_index=True)[1]
    merged = {level: ancestors[level][first] for level in levels if level <= finest}

    rows = []
    for level in levels:
        fit = _fit_of(centres[finest], merged[level]) if level in merged else _fit_of(centres[level])
        labels = fit(sample.points)
        rows.append(measured_row(sample, Fit(labels, fit, None, {}), level, _fit_level))
    _give_reasons(rows, finest, share)
    found = centres[finest].astype(np.float32).round(6)
    coarser = {level: above for level, above in merged.items() if level < finest}
    return Clustering(
        labels=nearest_centre(inputs.vectors, found),
        centres=found,
        candidates=rows + rejected,
        parents=coarser[max(coarser)] if coarser else None,
        coarser=coarser,
    )


def ward_merges(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Merge the two groups whose union adds least to the spread within, until one is left.

    Args:
        points: (n, d) means of the groups at the start; n up to a few hundred, as time grows with n cubed.
        weights: (n,) users of each.

    Returns:
        (n - 1, 2) the numbers of the groups that merge, in order. The union keeps the smaller of the two
        numbers. Of equal pairs the one with the smallest numbers merges first.
    """
    means, sizes = points.astype(np.float64), weights.astype(np.float64)
    count = len(means)
    cost = np.full((count, count), np.inf)
    for group in range(count):
        cost[group, group + 1 :] = _union_cost(means, sizes, group)[group + 1 :]
    merges = np.zeros((max(count - 1, 0), 2), dtype=np.int64)
    for step in range(count - 1):
        kept, gone = divmod(int(cost.argmin()), count)
        merges[step] = kept, gone
        total = sizes[kept] + sizes[gone]
        means[kept] = (sizes[kept] * means[kept] + sizes[gone] * means[gone]) / total
        sizes[kept], sizes[gone] = total, np.nan
        cost[gone], cost[:, gone] = np.inf, np.inf
        renewed = np.nan_to_num(_union_cost(means, sizes, kept), nan=np.inf)
        cost[:kept, kept], cost[kept, kept + 1 :] = renewed[:kept], renewed[kept + 1 :]
    return merges


def cut_merges(merges: np.ndarray, count: int, groups: int) -> np.ndarray:
    """Return the (count,) numbers, from 0 on, of the groups that are left when there are `groups` of them."""
    labels = np.arange(count)
    for kept, gone in merges[: count - groups]:
        labels[labels == gone] = kept
    return np.unique(labels, return_inverse=True)[1]


def weighted_means(points: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the (k, d) weighted means of points by consecutive labels."""
    total = np.bincount(labels, weights=weights)
    sums = np.zeros((len(total), points.shape[1]))
    np.add.at(sums, labels, points * weights[:, None])
    return sums / total[:, None]


def _union_cost(means: np.ndarray, sizes: np.ndarray, group: int) -> np.ndarray:
    """Return what the union of one group with each other adds to the sum of squared distances."""
    squared = ((means - means[group]) ** 2).sum(axis=1)
    return (squared * sizes * sizes[group] / (sizes + sizes[group])).round(9)


def _fine_segments(points: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and sizes of many small segments, or the distinct points where these are few."""
    distinct, copies = np.unique(points, axis=0, return_counts=True)
    if len(distinct) <= FINE_SEGMENTS:
        return distinct, copies.astype(np.float64)
    model = KMeans(FINE_SEGMENTS, n_init=1, random_state=seed).fit(points)
    sizes = np.bincount(model.labels_, minlength=FINE_SEGMENTS)
    return model.cluster_centers_[sizes > 0], sizes[sizes > 0].astype(np.float64)


def _fit_of(centres: np.ndarray, ancestors: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that gives points the nearest centre, or its ancestor."""
    if ancestors is None:
        return lambda points: nearest_centre(points, centres)
    return lambda points: ancestors[nearest_centre(points, centres)]


def _fit_level(points: np.ndarray, number: int, starts: int, seed: int) -> Fit:
    """Build a hierarchy of its own on some points and cut it once, for indices that need refits."""
    fine, weights = _fine_segments(points, seed)
    labels = cut_merges(ward_merges(fine, weights), len(fine), number)
    predict = _fit_of(weighted_means(fine, weights, labels))
    return Fit(predict(points), predict, None, {})


def _finest_level(points: np.ndarray, centres: Mapping[int, np.ndarray], min_segment_share: float) -> int:
    """Return the finest level without too small a segment, else the coarsest."""
    allowed = [
        level
        for level, means in centres.items()
        if np.bincount(nearest_centre(points, means), minlength=level).min()
        >= min_segment_share * len(points)
    ]
    return max(allowed, default=min(centres))


def _give_reasons(rows: list[dict], finest: int, min_segment_share: float) -> None:
    """Mark the finest level as champion and write into every row what its level is for."""
    for row in rows:
        too_small = f"a segment below min_segment_share {min_segment_share:.1%}"
        is_small = row["smallest_share"] < min_segment_share
        row["is_champion"] = row["clusters"] == finest
        if row["clusters"] < finest:
            row["reason"] = "A coarser level: its segments are the parents of finer ones."
        elif row["clusters"] > finest:
            row["reason"] = f"Out: it has {too_small}."
        elif row is rows[-1] and not is_small:
            row["reason"] = f"Chosen, {finest} segments: the finest level."
        elif not is_small:
            row["reason"] = f"Chosen, {finest} segments: the finest level without {too_small}."
        else:
            row["reason"] = f"Chosen, {finest} segments: the coarsest level, as every level has {too_small}."
