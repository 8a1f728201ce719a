"""DBSCAN with a radius chosen among candidates: dense groups of users, everybody else is noise."""

from typing import Any

import numpy as np
import polars as pl
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from manyfaces.segments.candidates import candidate_row, elect_radius
from manyfaces.segments.quality import measure_quality, segment_means
from manyfaces.segments.users import hash_sample

MODEL_VERSION = "dbscan-1"

# Few dimensions, where distances still differ.
DENSITY_DIMS = 8
# Candidates of the radius: these quantiles of the distance to the min_samples-th neighbour, and its knee.
RADIUS_QUANTILES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def fit_dbscan(
    spec: dict[str, Any], points: np.ndarray, keys: pl.Series, seed: int
) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Find dense groups; return labels with -1 for noise, centres, candidates.

    Vectors are projected on their DENSITY_DIMS main directions: in more dimensions all neighbours are about
    equally far away. HDBSCAN's tree of mutual reachability is built once on a sample and cut at every radius
    that is tried, which gives the core points of DBSCAN each time. Everybody who is no core point joins the
    segment of the nearest core point within the radius, or is noise.
    """
    min_samples = spec["min_samples"]
    rows = hash_sample(keys, spec["max_fit_users"])
    if len(rows) <= min_samples:
        reason = f"All noise: {len(rows)} users are too few for min_samples {min_samples}."
        labels = np.full(len(points), -1)
        only = candidate_row(None, measure_quality(points, labels), None, reason, "none")
        only["is_champion"] = True
        return labels, points[:0], [only] if len(points) else []

    space = _main_directions(points, rows)
    sample = space[rows]
    reach = NearestNeighbors(n_neighbors=min_samples).fit(sample).kneighbors(sample)[0][:, -1]
    tree = HDBSCAN(min_samples=min_samples, min_cluster_size=2, copy=True).fit(sample)
    smallest = max(min_samples, int(np.ceil((spec.get("min_segment_share") or 0) * len(rows))))

    def cut(radius: float) -> np.ndarray:
        groups = tree.dbscan_clustering(radius, min_cluster_size=1)
        core = (reach <= radius) & (groups >= 0)
        groups = _nearest_core(sample, sample[core], groups[core], radius)
        sizes = np.bincount(groups[groups >= 0], minlength=1)
        return np.where((groups >= 0) & (sizes[groups] >= smallest), groups, -1)

    candidates = []
    for radius, name in _radii(np.sort(reach), spec.get("eps")):
        labels = cut(radius)
        sizes = np.bincount(labels[labels >= 0], minlength=1)
        quality = measure_quality(sample, labels, seed)
        row = candidate_row(quality.clusters, quality, None, "", f"eps={radius:g} ({name})")
        row["parameters"] = {"eps": radius, "min_samples": min_samples, "dims": space.shape[1]}
        row["apart_share"] = float(sizes.sum() - sizes.max()) / len(sample)
        candidates.append(row)
    radius = elect_radius(candidates)["parameters"]["eps"]

    labels = np.full(len(points), -1)
    labels[rows] = cut(radius)
    core = rows[(reach <= radius) & (labels[rows] >= 0)]
    others = np.setdiff1d(np.arange(len(points)), rows, assume_unique=True)
    labels[others] = _nearest_core(space[others], space[core], labels[core], radius)
    found, codes = np.unique(labels[labels >= 0], return_inverse=True)
    centres = segment_means(points[labels >= 0].astype(np.float64), codes, len(found))
    labels[labels >= 0] = codes
    return labels, centres.astype(np.float32).round(6), candidates


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


def _main_directions(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Project on at most DENSITY_DIMS principal components of the sample, each scaled to variance 1."""
    points = points.astype(np.float64)
    sample = points[rows]
    varying = np.linalg.matrix_rank(sample - sample.mean(axis=0), tol=1e-6 * np.sqrt(len(rows)))
    if not varying:
        return np.zeros((len(points), 1))
    dims = int(min(DENSITY_DIMS, varying))
    return PCA(dims, whiten=True, svd_solver="covariance_eigh").fit(sample).transform(points).round(6)


def _nearest_core(points: np.ndarray, core: np.ndarray, labels: np.ndarray, radius: float) -> np.ndarray:
    """Label of the nearest core point of each user, -1 where it is farther away than the radius."""
    if not len(core) or not len(points):
        return np.full(len(points), -1)
    distances, nearest = NearestNeighbors(n_neighbors=1).fit(core).kneighbors(points)
    return np.where(distances[:, 0] <= radius, labels[nearest[:, 0]], -1)
