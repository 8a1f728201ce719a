"""User-based collaborative filtering: what similar users like, within the user's segment or among all.

Herlocker et al., "An algorithmic framework for performing collaborative filtering", SIGIR 1999. Neighbours
are the users with the highest cosine; a score is the similarity-weighted mean of their affinities. Comparing
all pairs of a big segment costs too much, so at most `pool` of its members, evenly spaced, can be neighbours.

Memory: a block of users x pool cosines, a block of users x items scores, and 8 bytes for each neighbour. One
million users and 50,000 items with 50 neighbours: 0.4 GB for the neighbours, 0.1 GB for either block.
"""

import numpy as np
from scipy import sparse

from manyfaces.recommendations.top_items import ScoreBlocks, top_columns

MODEL_VERSION = "user_neighbours-1"
BLOCK_USERS = 512
NEIGHBOURS = 50
POOL = 20_000


def nearest_neighbours(
    matrix: sparse.csr_array,
    count: int = NEIGHBOURS,
    segments: np.ndarray | None = None,
    pool: int = POOL,
    block_users: int = BLOCK_USERS,
) -> sparse.csr_array:
    """Find the most similar other users of every user by the cosine of their rows.

    Args:
        matrix: (users, items) ratings or affinities.
        count: neighbours per user, at most.
        segments: (users,) number of each user's segment; neighbours are members of the same one. None takes
            everybody.
        pool: members of a segment that can be neighbours, at most.
        block_users: users that are compared at once.

    Returns:
        (users, users) CSR of the neighbours' cosines, above 0 and rounded to 6 digits; never the user itself.
    """
    users = matrix.shape[0]
    lengths = sparse.linalg.norm(matrix, axis=1) if users else np.empty(0)
    units = (sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix).tocsr()
    segments = np.zeros(users, np.int64) if segments is None else np.asarray(segments)
    found = [np.empty((3, 0))]
    for segment in np.unique(segments):
        members = np.flatnonzero(segments == segment)
        chosen = members[
            np.unique(np.linspace(0, len(members) - 1, min(pool, len(members))).astype(np.int64))
        ]
        others = units[chosen].T.tocsc()
        for start in range(0, len(members), block_users):
            rows = members[start : start + block_users]
            similarities = (units[rows] @ others).toarray()
            similarities[rows[:, None] == chosen] = -np.inf
            row, column, value = top_columns(similarities, count)
            found.append(np.stack([rows[row], chosen[column], value]))
    row, column, value = np.concatenate(found, axis=1)
    neighbours = sparse.csr_array(
        (value.astype(np.float32), (row.astype(np.int64), column.astype(np.int64))), shape=(users, users)
    )
    neighbours.sort_indices()
    return neighbours


def score_blocks(
    matrix: sparse.csr_array, neighbours: sparse.csr_array, block_users: int = BLOCK_USERS
) -> ScoreBlocks:
    """Score all items for all users as the similarity-weighted mean of the neighbours' affinities.

    Args:
        matrix: (users, items) affinities.
        neighbours: what nearest_neighbours returned.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores; zeros for users without a
        neighbour.
    """
    totals = np.asarray(neighbours.sum(axis=1)).ravel()
    weights = (sparse.diags_array(1 / np.where(totals > 0, totals, 1)) @ neighbours).tocsr()
    for start in range(0, matrix.shape[0], block_users):
        yield start, (weights[start : start + block_users] @ matrix).toarray().astype(np.float32)


def neighbours_with_item(
    neighbours: sparse.csr_array,
    matrix: sparse.csr_array,
    user_index: np.ndarray,
    item_index: np.ndarray,
    block_users: int = BLOCK_USERS,
) -> np.ndarray:
    """Count the neighbours of a user who have an item: the evidence of a recommendation.

    Args:
        neighbours: what nearest_neighbours returned.
        matrix: (users, items) affinities; every stored entry is an item that the user has.
        user_index: (pairs,) users, rising.
        item_index: (pairs,) items.
        block_users: users that are counted at once.

    Returns:
        (pairs,) int32.
    """
    is_neighbour, has_item = (
        sparse.csr_array((np.ones(part.nnz, np.int32), part.indices, part.indptr), shape=part.shape)
        for part in (neighbours, matrix)
    )
    counts = np.zeros(len(user_index), np.int32)
    for start in range(0, matrix.shape[0], block_users):
        pairs = slice(*np.searchsorted(user_index, [start, start + block_users]))
        block = (is_neighbour[start : start + block_users] @ has_item).toarray()
        counts[pairs] = block[user_index[pairs] - start, item_index[pairs]]
    return counts
