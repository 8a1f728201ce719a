"""Matrix factorisation: users and items in one space, by a truncated SVD of their affinities."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from manyfaces.embeddings.pooling import round_vectors
from manyfaces.store import Artifact

MODEL_VERSION = "factors-1"
# Singular values below this share of the largest are noise: they do not become factors.
RANK_TOLERANCE = 1e-6


def factorise(matrix: sparse.csr_array, dims: int, seed: int) -> Artifact:
    """Return user and item factors whose products approximate the matrix.

    With matrix ~ U diag(s) V', the user factors are U sqrt(s) and the item factors V sqrt(s): both lie in one
    space, and `users @ items.T` is the best approximation of the matrix by one of that rank (Eckart & Young
    1936). Randomised SVD after Halko, Martinsson & Tropp 2011. Each factor's largest user entry is positive.

    Args:
        matrix: Users x items (n, m).
        dims: Number of factors; fewer if the matrix has a lower rank, but at least one (of zeros).
        seed: Seed of the random projection.

    Returns:
        Arrays users (n, k), items (m, k) and singular_values (k), float32 rounded to 6 digits.
    """
    matrix = sparse.csr_array(matrix, dtype=np.float64)
    total = float(np.square(matrix.data).sum())
    if total == 0:
        users, items = (np.zeros((count, 1), np.float32) for count in matrix.shape)
        singular_values = np.zeros(1)
    else:
        left, singular_values, right = randomized_svd(
            matrix, min(dims, *matrix.shape), random_state=seed, flip_sign=True
        )
        kept = singular_values > RANK_TOLERANCE * singular_values[0]
        left, singular_values, right = left[:, kept], singular_values[kept], right[kept]
        users = round_vectors(left * np.sqrt(singular_values))
        items = round_vectors(right.T * np.sqrt(singular_values))
    return Artifact(
        {"users": users, "items": items, "singular_values": round_vectors(singular_values)},
        {
            "algorithm": "truncated SVD",
            "parameters": {"dims": dims, "seed": seed},
            "rows": matrix.shape[0],
            "metrics": {
                "dims": int(users.shape[1]),
                "explained_share": round(float(np.square(singular_values).sum() / total), 6)
                if total
                else 0.0,
            },
        },
    )
