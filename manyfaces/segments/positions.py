"""Two-dimensional positions of users for a map."""

import numpy as np
import polars as pl
from sklearn.decomposition import PCA

from manyfaces.frames import vector_matrix
from manyfaces.segments.users import check_users
from manyfaces.store import Artifact, ArtifactStore, fingerprint

MODEL_VERSION = "pca-map-1"

# Half the width of the map holds this quantile of the users, so that one outlier does not squeeze the rest.
SCALE_QUANTILE = 0.99

POSITION_SCHEMA = {"user_key": pl.String, "x": pl.Float64, "y": pl.Float64, "run_id": pl.String}


def position_frame(users: pl.DataFrame, store: ArtifactStore) -> pl.DataFrame:
    """Place users on a map, once for the same vectors.

    Args:
        users: user_key, vector (lists of equal length), in any order.
        store: Where the result is kept.

    Returns:
        One row per user with the columns of POSITION_SCHEMA, ordered by user_key.

    Raises:
        ValueError: If a vector holds NaN or an infinite number, or a user occurs twice.
    """
    users = users.sort("user_key")
    vectors = vector_matrix(users)
    check_users("map", vectors, users["user_key"])
    data = fingerprint(users["user_key"], vectors)

    def compute() -> Artifact:
        meta = {
            "algorithm": "pca",
            "model_version": MODEL_VERSION,
            "parameters": {"dims": 2, "scale_quantile": SCALE_QUANTILE},
            "data_fingerprint": data,
            "metrics": {},
            "rows": len(users),
            "log": [],
        }
        return Artifact({"positions": map_positions(vectors)}, meta)

    artifact = store.fit("user_positions", fingerprint(MODEL_VERSION, data), compute)
    x, y = artifact.arrays["positions"].T
    return users.select("user_key", x=pl.Series(x), y=pl.Series(y), run_id=pl.lit(artifact.run_id)).cast(
        POSITION_SCHEMA
    )


def map_positions(vectors: np.ndarray) -> np.ndarray:
    """Project users on the two directions in which they differ most (principal components).

    Each direction has the sign that makes its largest loading positive (scikit-learn's rule). Both axes are
    divided by one number, the 99th percentile of the absolute coordinates, so that nearly all users lie
    between -1 and 1 and distances keep their proportions.

    Args:
        vectors: (n, d) finite numbers, ordered by user.

    Returns:
        (n, 2) positions rounded to 6 digits; an axis along which nobody differs is 0.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    users, dims = vectors.shape
    positions = np.zeros((users, 2))
    if users < 2 or dims == 0 or not (vectors != vectors[0]).any():
        return positions
    components = min(2, dims, users)
    pca = PCA(components, svd_solver="covariance_eigh" if users > dims else "full").fit(vectors)
    projected = pca.transform(vectors)
    scale = np.quantile(np.abs(projected), SCALE_QUANTILE) or np.abs(projected).max() or 1.0
    positions[:, :components] = projected / scale
    return positions.round(6) + 0.0
