"""Users and their vectors as the clusterers need them: one matrix, checked, sampled without chance."""

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.spatial.distance import cdist

# Users whose distances are in memory at once.
ASSIGN_BLOCK = 100_000


def check_users(name: str, vectors: np.ndarray, keys: pl.Series) -> None:
    """Raise a ValueError unless there is one finite vector per user and keys ascend strictly."""
    if vectors.ndim != 2 or len(vectors) != len(keys):
        raise ValueError(
            f"{name}: {len(keys)} users need a matrix of as many rows, not one of shape {vectors.shape}."
        )
    if keys.null_count() or not (keys[:-1] < keys[1:]).all():
        raise ValueError(f"{name}: users must be sorted by key and each must occur once.")
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise ValueError(
            f"{name}: {broken.sum()} of {len(keys)} user vectors hold NaN or infinite numbers, "
            f"the first is that of user {keys[int(broken.argmax())]}; rebuild the table they come from."
        )


def hash_sample(keys: Sequence[str], limit: int) -> np.ndarray:
    """Return the ascending rows of at most `limit` users, those whose key has the smallest BLAKE2b hash.

    The sample does not depend on order or on chance, and adding users changes it little.
    """
    if len(keys) <= limit:
        return np.arange(len(keys))
    return np.sort(np.argsort(_hashes(keys), kind="stable")[:limit])


def hash_order(keys: Sequence[str]) -> np.ndarray:
    """Return each user's rank, from 0, by the BLAKE2b hash of the key: an order without meaning or chance."""
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[np.argsort(_hashes(keys), kind="stable")] = np.arange(len(keys))
    return ranks


def _hashes(keys: Sequence[str]) -> np.ndarray:
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the row of the nearest of (k, d) centres for each of (n, d) vectors, of equals the first."""
    blocks = [
        cdist(vectors[first : first + ASSIGN_BLOCK], centres).round(6).argmin(axis=1)
        for first in range(0, len(vectors), ASSIGN_BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)
