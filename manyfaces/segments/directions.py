"""The few main directions of users' vectors, in which densities can be told apart."""

import numpy as np
from sklearn.decomposition import PCA

from manyfaces.segments.users import ASSIGN_BLOCK

# Few dimensions: in more of them all neighbours are about equally far away.
DENSITY_DIMS = 8


def main_directions(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Project on at most DENSITY_DIMS principal components of the sample, each scaled to variance 1.

    Args:
        points: (n, d) finite numbers.
        rows: (m,) rows of the sample, at least one.

    Returns:
        (n, dims) float64, rounded to 6 digits; one column of zeros where no direction varies.
    """
    sample = points[rows].astype(np.float64)
    varying = np.linalg.matrix_rank(sample - sample.mean(axis=0), tol=1e-6 * np.sqrt(len(rows)))
    if not varying:
        return np.zeros((len(points), 1))
    dims = int(min(DENSITY_DIMS, varying))
    projection = PCA(dims, whiten=True, svd_solver="covariance_eigh").fit(sample)
    blocks = [
        projection.transform(points[start : start + ASSIGN_BLOCK].astype(np.float64))
        for start in range(0, len(points), ASSIGN_BLOCK)
    ]
    return np.concatenate(blocks).round(6)
