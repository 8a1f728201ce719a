"""DBSCAN with a radius chosen among candidates: dense groups of users, everybody else is noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.neighbors import NearestNeighbors

from manyfaces.segments.candidates import candidate_row, elect_radius
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
from manyfaces.segments.users import hash_sample

MODEL_VERSION = "dbscan-2"

# Candidates of the radius: these quantiles of the distance to the min_samples-th neighbour, and its knee.
RADIUS_QUANTILES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def fit_dbscan(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Find dense groups; everybody else is noise. See `validate_spec` for the settings.

    Vectors are projected on their main directions. HDBSCAN's tree of mutual reachability is built once on a
    sample and cut at every radius that is tried, which gives the core points of DBSCAN each time. Everybody
    who is no core point joins the segment of the nearest core point within the radius, or is noise.
    """
    settings, points = settings_of(spec), inputs.vectors
    min_samples = settings["min_samples"]
    rows = hash_sample(inputs.keys, settings["max_fit_users"])
    if len(rows) <= min_samples:
        return unassigned(inputs, too_few_users(len(rows), min_samples))

    space = main_directions(points, rows)
    sample = space[rows]
    reach = NearestNeighbors(n_neighbors=min_samples).fit(sample).kneighbors(sample)[0][:, -1]
    tree = HDBSCAN(min_samples=min_samples, min_cluster_size=2, copy=True).fit(sample)
    smallest = max(min_samples, int(np.ceil((spec.get("min_segment_share") or 0) * len(rows))))

    def cut(radius: float) -> np.ndarray:
        groups = tree.dbscan_clustering(radius, min_cluster_size=1)
        core = (reach <= radius) & (groups >= 0)
        groups = _nearest_core(sample, sample[core], groups[core], radius)
        sizes = np.bincount(groups[groups >= 0], minlength=1)
        return np.where((groups >= 0) & (sizes[groups] >= smallest), groups, NOISE)

    candidates = []
    for radius, name in _radii(np.sort(reach), settings["eps"]):
        labels = cut(radius)
        sizes = np.bincount(labels[labels >= 0], minlength=1)
        quality = measure_quality(sample, labels, inputs.seed)
        row = candidate_row(
            quality.clusters,
            quality,
            name=f"eps={radius:g} ({name})",
            parameters={"eps": radius, "min_samples": min_samples, "dims": space.shape[1]},
            predictive=predictive_value(inputs, rows, labels),
        )
        row["apart_share"] = float(sizes.sum() - sizes.max()) / len(sample)
        candidates.append(row)
    radius = elect_radius(candidates)["parameters"]["eps"]

    labels = np.full(len(points), NOISE)
    labels[rows] = cut(radius)
    core = rows[(reach <= radius) & (labels[rows] >= 0)]
    others = np.setdiff1d(np.arange(len(points)), rows, assume_unique=True)
    labels[others] = _nearest_core(space[others], space[core], labels[core], radius)
    return group_clustering(points, labels, candidates)


def too_few_users(users: int, min_samples: int) -> dict[str, Any]:
    """Return the only candidate where no user can have `min_samples` others around."""
    quality = measure_quality(np.zeros((users, 1)), np.full(users, NOISE))
    reason = f"All noise: {users} users are too few for min_samples {min_samples}."
    return candidate_row(0, quality, name="none", parameters={"min_samples": min_samples}, reason=reason)


def knee_radius(distances: np.ndarray) -> float:
    """Return the knee of an ascending curve: the point farthest below the chord between its ends.

    The curve is that of the distances to the min_samples-th neighbour (Ester et al. 1996, section 4.2): up
    to the knee users lie in dense groups, behind it they lie ever farther outside.
    """
    if len(distances) < 3 or distances[-1] <= distances[0]:
        return float(distances[-1]) if len(distances) else 0.0
    height = (distances - distances[0]) / (distances[-1] - distances[0])
    return float(distances[np.argmax((np.linspace(0, 1, len(distances)) - height).round(9))])


def _radii(curve: np.ndarray, given: float | None) -> list[tuple[float, str]]:
    """Radii to try with their names: the given one alone, or the knee of the curve and its quantiles."""
    if given is not None:
        return [(float(given), "given")]
    radii = {"knee": knee_radius(curve)}
    radii |= {f"quantile {share}": float(np.quantile(curve, share)) for share in RADIUS_QUANTILES}
    # A little more than the distance itself, which rounding may have made smaller.
    named = [(round(radius, 6) + 1e-6, name) for name, radius in radii.items()]
    return [(round(radius, 6), name) for radius, name in named]


def _nearest_core(points: np.ndarray, core: np.ndarray, labels: np.ndarray, radius: float) -> np.ndarray:
    """Label of the nearest core point of each user, -1 where it is farther away than the radius."""
    if not len(core) or not len(points):
        return np.full(len(points), NOISE)
    distances, nearest = NearestNeighbors(n_neighbors=1).fit(core).kneighbors(points)
    return np.where(distances[:, 0] <= radius, labels[nearest[:, 0]], NOISE)
