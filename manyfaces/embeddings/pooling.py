"""From vectors of texts to vectors of users."""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize


def pool_vectors(weights: sparse.csr_array, vectors: np.ndarray) -> np.ndarray:
    """Return the direction of each user's weighted sum of text vectors.

    Args:
        weights: Users x texts (n, t), how much of each text a user took up (any non-negative unit).
        vectors: Text vectors (t, d).

    Returns:
        float32 (n, d), rows of length 1, rounded to 6 digits. A user without weights has a row of zeros.

    Raises:
        ValueError: If the number of texts differs.
    """
    if weights.shape[1] != vectors.shape[0]:
        raise ValueError(
            f"The weights name {weights.shape[1]} texts, but there are {vectors.shape[0]} vectors."
        )
    if 0 in (weights.shape[0], *vectors.shape):
        return np.zeros((weights.shape[0], vectors.shape[1]), np.float32)
    return round_vectors(normalize(weights @ vectors.astype(np.float64)))


def round_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return float32 vectors with 6 digits and no negative zero, so that equal builds have equal bits."""
    return (np.round(vectors, 6) + 0.0).astype(np.float32)
