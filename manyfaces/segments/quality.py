"""Internal quality of a segmentation: how compact its segments are and how far apart.

No index needs labels from outside and none is safe alone, so all of them are reported and vote together
(see `clustering`). Distances are Euclidean, noise (label -1) is left out of every index but its own share.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

# Silhouette compares all pairs: 5,000 users give it to about 0.01.
SILHOUETTE_SAMPLE = 5_000


@dataclass(frozen=True)
class Quality:
    """Indices of one segmentation; None where an index is not defined.

    Attributes:
        clusters: Number of segments without noise.
        silhouette: Mean over users of (b - a) / max(a, b), a = mean distance within the own segment, b = to
            the nearest other one (Rousseeuw 1987); -1 to 1, higher is better.
        calinski_harabasz: Spread between segments over spread within, each by its degrees of freedom
            (Calinski and Harabasz 1974); higher is better, and lower for more segments by itself.
        davies_bouldin: Mean over segments of the worst (radius + radius) / distance of centres (Davies and
            Bouldin 1979); lower is better.
        dunn: Smallest distance between two centres over the largest mean distance of a segment's users to
            their centre: the centroid form of Dunn (1974), which single outliers do not decide; higher is
            better.
        noise_share: Users in no segment, share of all.
        smallest_share: Users of the smallest segment, share of all.
    """

    clusters: int
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    dunn: float | None
    noise_share: float | None
    smallest_share: float | None


def measure_quality(
    vectors: np.ndarray, labels: np.ndarray, seed: int = 0, sample_size: int = SILHOUETTE_SAMPLE
) -> Quality:
    """Measure how well `labels` divide `vectors`.

    Args:
        vectors: (n, d) finite numbers.
        labels: (n,) integers, -1 = noise; other values need not be consecutive.
        seed: Seed of the silhouette's sample.
        sample_size: Users that the silhouette is measured on, at most.

    Returns:
        Indices rounded to 6 digits. With fewer than 2 segments, no more users than segments or vectors
        without dimensions the four indices are None; with 0 users the shares are too.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(vectors) != len(labels):
        raise ValueError(f"There are {len(vectors)} vectors but {len(labels)} labels.")
    found, codes, sizes = np.unique(labels[labels >= 0], return_inverse=True, return_counts=True)
    users, clusters = len(labels), len(found)
    noise_share = _rounded(1 - sizes.sum() / users) if users else None
    smallest_share = _rounded(sizes.min() / users) if clusters else None
    if clusters < 2 or sizes.sum() <= clusters or not vectors.shape[1]:
        return Quality(clusters, None, None, None, None, noise_share, smallest_share)

    inside = np.asarray(vectors, dtype=np.float64)[labels >= 0]
    centres = segment_means(inside, codes, clusters)
    distances = np.linalg.norm(inside - centres[codes], axis=1)
    radius = (np.bincount(codes, weights=distances) / sizes).max()
    spread = radius > 0
    return Quality(
        clusters=clusters,
        silhouette=_silhouette(inside, codes, seed, sample_size),
        calinski_harabasz=_rounded(calinski_harabasz_score(inside, codes)) if spread else None,
        davies_bouldin=_rounded(davies_bouldin_score(inside, codes)) if spread else None,
        dunn=_rounded(pdist(centres).min() / radius) if spread else None,
        noise_share=noise_share,
        smallest_share=smallest_share,
    )


def segment_means(vectors: np.ndarray, codes: np.ndarray, clusters: int) -> np.ndarray:
    """Return the (clusters, d) means of `vectors` by consecutive codes; each code must occur."""
    users = np.arange(len(codes))
    membership = sparse.csr_array((np.ones(len(codes)), (codes, users)), shape=(clusters, len(codes)))
    return (membership @ vectors) / np.bincount(codes, minlength=clusters)[:, None]


def _silhouette(vectors: np.ndarray, codes: np.ndarray, seed: int, sample_size: int) -> float | None:
    """Silhouette of a random sample; None when the sample holds one segment or nothing but single users."""
    if len(codes) > sample_size:
        rows = np.random.default_rng(seed).choice(len(codes), sample_size, replace=False)
        vectors, codes = vectors[rows], codes[rows]
    if not 2 <= len(np.unique(codes)) < len(codes):
        return None
    return _rounded(silhouette_score(vectors, codes))


def _rounded(value: float) -> float | None:
    """Round to 6 digits; what is not finite is not defined."""
    return round(float(value), 6) if np.isfinite(value) else None
