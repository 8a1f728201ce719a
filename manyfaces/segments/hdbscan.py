"""HDBSCAN: dense groups of any density, everybody else is noise (Campello, Moulavi and Sander 2013)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.neighbors import NearestNeighbors

from manyfaces.segments.candidates import candidate_row, elect_groups
from manyfaces.segments.density import too_few_users
from manyfaces.segments.directions import main_directions
from manyfaces.segments.inputs import (
    NOISE,
    Clustering,
    FitInputs,
    group_clustering,
    predictive_value,
    unassigned,
)
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.settings import settings_of
from manyfaces.segments.stability import half_sample_stability
from manyfaces.segments.users import hash_sample

MODEL_VERSION = "hdbscan-1"

# Candidates of the smallest group where none are given: these shares of the users that are fitted.
SMALLEST_SHARES = (0.005, 0.01, 0.02, 0.04)


def fit_hdbscan(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Find dense groups whose smallest size is chosen among candidates; see `validate_spec` for the settings.

    The fit takes a sample in the main directions of the vectors. Users outside it join the group of the
    nearest grouped user, if they are no farther from it than that group's users are from one another.
    """
    settings, seed = settings_of(spec), inputs.seed
    min_samples, share = settings["min_samples"], spec.get("min_segment_share") or 0
    rows = hash_sample(inputs.keys, settings["max_fit_users"])
    if len(rows) <= max(min_samples, 3):
        return unassigned(inputs, too_few_users(len(rows), min_samples))

    space = main_directions(inputs.vectors, rows)
    sample = space[rows]
    trees, candidates = {}, []
    for size in _smallest_sizes(settings["candidates"], len(rows), max(min_samples, share * len(rows))):
        tree = _tree(sample, size, min_samples)
        quality = measure_quality(sample, tree.labels_, seed)
        row = candidate_row(
            quality.clusters,
            quality,
            name=f"min_cluster_size={size}",
            parameters={"min_cluster_size": size, "min_samples": min_samples, "dims": space.shape[1]},
            stability=half_sample_stability(sample, tree.labels_, _refit(sample, size, min_samples), seed),
            predictive=predictive_value(inputs, rows, tree.labels_),
        )
        trees[row["candidate"]] = tree
        candidates.append(row)

    tree = trees[elect_groups(candidates, share, settings["vote"])["candidate"]]
    labels, probability = np.full(len(space), NOISE), np.full(len(space), np.nan)
    labels[rows] = tree.labels_
    probability[rows] = tree.probabilities_
    others = np.setdiff1d(np.arange(len(space)), rows, assume_unique=True)
    labels[others], nearest = join_groups(sample, tree.labels_, min_samples)(space[others])
    probability[others] = tree.probabilities_[nearest]
    probability[labels < 0] = np.nan
    return group_clustering(inputs.vectors, labels, candidates, probability=probability.round(6))


def join_groups(
    sample: np.ndarray, labels: np.ndarray, min_samples: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Prepare the rule by which further users join groups that were found in a sample.

    Args:
        sample: (m, d) users of the fit, m above `min_samples`.
        labels: (m,) their groups, NOISE for none.
        min_samples: A user's density is the distance to the neighbour of this number, the user included.

    Returns:
        A function that takes (n, d) users and returns their (n,) groups, NOISE for none, and the (n,) rows of
        the nearest grouped users in the sample. The mutual reach to that user, which is the distance or, if
        larger, one of the two densities, must not exceed the largest such reach in the group.
    """
    around = NearestNeighbors(n_neighbors=min_samples).fit(sample)
    grouped = np.flatnonzero(labels >= 0)
    if len(grouped) < 2:
        return lambda points: (np.full(len(points), NOISE), np.zeros(len(points), dtype=np.int64))
    density = around.kneighbors(sample)[0][:, -1]
    inside = NearestNeighbors(n_neighbors=2).fit(sample[grouped])

    def mutual(distance: np.ndarray, own_density: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        return np.maximum.reduce([distance, own_density, density[nearest]]).round(9)

    # Of two nearest grouped users the first is the user, or an equal one.
    distances, nearest = inside.kneighbors(sample[grouped])
    own_reach = mutual(distances[:, 1], density[grouped], grouped[nearest[:, 1]])
    limit = np.zeros(labels.max() + 1)
    np.maximum.at(limit, labels[grouped], own_reach)

    def join(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(points):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        distances, nearest = inside.kneighbors(points, n_neighbors=1)
        rows = grouped[nearest[:, 0]]
        # A user of the sample is the first of the own neighbours, a further one is not among them.
        own_density = around.kneighbors(points, n_neighbors=min_samples - 1)[0][:, -1]
        reach = mutual(distances[:, 0], own_density, rows)
        return np.where(reach <= limit[labels[rows]], labels[rows], NOISE), rows

    return join


def _smallest_sizes(given: list[int] | None, users: int, least: float) -> list[int]:
    """Return the sizes of the smallest group to try: no group can hold more than half of the users."""
    sizes = given or [max(least, share * users) for share in SMALLEST_SHARES]
    return sorted({max(2, min(int(np.ceil(size)), users // 2)) for size in sizes})


def _tree(sample: np.ndarray, size: int, min_samples: int) -> HDBSCAN:
    return HDBSCAN(min_cluster_size=size, min_samples=min_samples, copy=True).fit(sample)


def _refit(sample: np.ndarray, size: int, min_samples: int) -> Callable[[np.ndarray], Any]:
    """Return the refit on half of the sample, where a group of the same share has half the size.

    It says nothing of the other half: users of one half are enough to compare two divisions by.
    """

    def refit(half: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
        if len(half) <= min_samples:
            return None
        everybody = np.full(len(sample), NOISE)
        everybody[half] = _tree(sample[half], max(2, size // 2), min_samples).labels_
        return lambda _: everybody

    return refit
