"""User-based collaborative filtering, kept small: what similar users liked.

Herlocker et al., "An algorithmic framework for performing collaborative filtering", SIGIR 1999.
"""

import numpy as np
from scipy import sparse

from manyfaces.recommendations.top_items import top_columns

BLOCK_USERS = 1024


def nearest_neighbours(
    matrix: sparse.csr_array, count: int, block_users: int = BLOCK_USERS
) -> tuple[np.ndarray, np.ndarray]:
    """Find the most similar other users of every user by the cosine of their rows.

    Args:
        matrix: (users, items) ratings or affinities.
        count: neighbours per user.
        block_users: users that are compared at once.

    Returns:
        (users, count) user indices, most similar first and never the user itself, -1 where there is no
        further user with a positive cosine; and their (users, count) cosines, rounded to 6 digits, 0 where
        there is none.
    """
    users = matrix.shape[0]
    indices = np.full((users, count), -1)
    cosines = np.zeros((users, count))
    lengths = sparse.linalg.norm(matrix, axis=1) if users else np.empty(0)
    units = (sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix).tocsr()
    for start in range(0, users, block_users):
        similarities = (units[start : start + block_users] @ units.T).toarray()
        row = np.arange(len(similarities))
        similarities[row, start + row] = -np.inf
        row, column, value = top_columns(similarities, count)
        place = np.arange(len(row)) - np.searchsorted(row, row, side="left")
        indices[start + row, place] = column
        cosines[start + row, place] = value
    return indices, cosines


def user_based_scores(similarities: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Predict one user's rating of every item as the similarity-weighted mean of the neighbours' ratings.

    Args:
        similarities: (neighbours,) similarity of each neighbour to the user.
        ratings: (neighbours, items) what each neighbour gave each item, 0 for nothing.

    Returns:
        (items,) weighted means; zeros when no neighbour has any similarity.
    """
    total = np.abs(similarities).sum()
    if total == 0:
        return np.zeros(ratings.shape[1])
    return similarities @ ratings / total
