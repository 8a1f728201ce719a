"""Implicit matrix factorisation by alternating least squares, with a vector for each group of users.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, in the form of
Rendle et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (arXiv:2110.14037): over
user vectors w and item vectors v it minimises

    sum over entries of c_ui (w_u v_i - 1)^2 + a sum over all pairs of (w_u v_i)^2
    + sum of l_u |w_u - g_u|^2 + sum of l_i |v_i|^2

where c_ui is the affinity over the mean affinity, a the `unobserved` weight, and l the `regularisation` times
(the sum of the row's or column's c + a times the length of the other side)^`frequency_power`. g_u is 0, or
the vector of the user's group: the mean of its users' w, weighted by l_u. So a group shares its taste with
members of whom little is known, and a member without a history has the taste of the group.

Each half-step solves all rows at once, by a few steps of conjugate gradients from where the vectors stand
(Takacs, Pilaszy and Tikk, RecSys 2011). Rows of similar length are padded to blocks, so that a step is two
batched products and no dims x dims matrix is ever built for a row.

Memory: three times the vectors of both sides, the matrix by row and by column, and a block. One million
users with 50 items each, 50,000 items and 128 dims: 1.6 GB of vectors, 1.2 GB of matrix, a block of 0.1 GB.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from manyfaces.progress import say
from manyfaces.recommendations.top_items import ScoreBlocks

MODEL_VERSION = "alternating-1"
BLOCK_USERS = 512
BLOCK_VALUES = 2**22
"""Floats in a padded block of vectors."""


@dataclass(frozen=True, kw_only=True)
class AlternatingParameters:
    """What decides the factorisation besides the data.

    Attributes:
        dims: Length of a vector.
        iterations: Passes over users and items.
        regularisation: Weight of the penalty, above 0.
        unobserved: Weight of a pair without an entry, above 0.
        frequency_power: 0 penalises all rows alike, 1 in proportion to what is known of them.
        steps: Steps of conjugate gradients in a half-step.
        seed: Seed of the first item vectors.
    """

    dims: int = 128
    iterations: int = 10
    regularisation: float = 0.01
    unobserved: float = 0.3
    frequency_power: float = 1.0
    steps: int = 3
    seed: int = 7


@dataclass(frozen=True)
class Factors:
    """The result: float32 vectors of users (users, dims), items (items, dims) and groups (groups, dims)."""

    users: np.ndarray
    items: np.ndarray
    groups: np.ndarray


def fit(
    matrix: sparse.csr_array, parameters: AlternatingParameters, groups: np.ndarray | None = None
) -> Factors:
    """Factorise a matrix of affinities.

    Args:
        matrix: (users, items), none negative; an entry says that the user took the item.
        parameters: See AlternatingParameters.
        groups: (users,) number of each user's group from 0, or -1 without one; None for no groups.

    Returns:
        See Factors; without groups there are no rows of groups.
    """
    users, items = matrix.shape
    known = matrix.data > 0
    mean = float(matrix.data[known].mean()) if known.any() else 1.0
    by_user = sparse.csr_array(
        ((matrix.data / mean).astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )
    by_item = by_user.T.tocsr()
    generator = np.random.default_rng(parameters.seed)
    start = generator.standard_normal((items, parameters.dims), np.float32)
    item_vectors = start * np.float32(0.1 / np.sqrt(parameters.dims))
    user_vectors = np.zeros((users, parameters.dims), np.float32)
    groups = np.full(users, -1) if groups is None else groups
    group_vectors = np.zeros((groups.max(initial=-1) + 1, parameters.dims), np.float32)
    user_penalty, item_penalty = (_penalty(rows, parameters) for rows in (by_user, by_item))
    memberships = _memberships(groups, user_penalty, len(group_vectors))
    for iteration in range(1, parameters.iterations + 1):
        priors = _priors(group_vectors, groups)
        user_vectors = solve_rows(
            by_user, item_vectors, user_vectors, user_penalty, parameters.unobserved, parameters.steps, priors
        )
        group_vectors = memberships @ user_vectors
        item_vectors = solve_rows(
            by_item, user_vectors, item_vectors, item_penalty, parameters.unobserved, parameters.steps
        )
        say(f"alternating least squares: iteration {iteration}/{parameters.iterations}")
    return Factors(user_vectors, item_vectors, group_vectors)


def solve_rows(
    matrix: sparse.csr_array,
    fixed: np.ndarray,
    start: np.ndarray,
    penalty: np.ndarray,
    unobserved: float,
    steps: int,
    priors: np.ndarray | None = None,
) -> np.ndarray:
    """Move the vectors of all rows towards their least squares solution while the other side is fixed.

    Row by row the solution of (sum of c_i v_i v_i' + a V'V + l I) w = sum of c_i v_i + l g.

    Args:
        matrix: (rows, columns) CSR of weights c.
        fixed: (columns, dims) vectors V of the other side.
        start: (rows, dims) vectors to start from.
        penalty: (rows,) l, above 0.
        unobserved: a.
        steps: Steps of conjugate gradients; with as many as dims the solution is exact but for rounding.
        priors: (rows, dims) g, None for zeros.

    Returns:
        (rows, dims) float32.
    """
    gram = (unobserved * (fixed.T @ fixed)).astype(np.float32)
    # A column of zeros at the end pads short rows.
    padded = np.vstack([fixed, np.zeros((1, fixed.shape[1]), np.float32)])
    found = np.empty_like(start)
    for rows, places, weights in row_blocks(matrix, fixed.shape[1]):
        vectors = padded[places]
        own_penalty = penalty[rows, None]

        def times(point, vectors=vectors, weights=weights, own_penalty=own_penalty):
            inner = np.matmul(vectors, point[:, :, None])[:, :, 0] * weights
            outer = np.matmul(inner[:, None, :], vectors)[:, 0, :]
            return outer + point @ gram + own_penalty * point

        target = np.matmul(weights[:, None, :], vectors)[:, 0, :]
        if priors is not None:
            target += own_penalty * priors[rows]
        found[rows] = _conjugate_gradients(times, target, start[rows], steps)
    return found


def row_blocks(matrix: sparse.csr_array, dims: int):
    """Cut the rows of a CSR matrix, by length, into blocks that are padded to their longest row.

    Args:
        matrix: (rows, columns).
        dims: Length of the vectors that will stand in the places of the entries.

    Yields:
        Rows (b,), the columns of their entries (b, longest) with `columns` as padding, and the values (b,
        longest) with 0 as padding.
    """
    lengths = np.diff(matrix.indptr)
    order = np.argsort(lengths, kind="stable")
    sizes = np.maximum(lengths[order], 1)
    indices = np.append(matrix.indices, matrix.shape[1])
    values = np.append(matrix.data, np.float32(0))
    start = 0
    while start < len(order):
        longest = BLOCK_VALUES // dims
        # As many rows as fit at the length of the longest of them.
        fits = sizes[start:] * np.arange(1, len(order) - start + 1) <= longest
        stop = start + max(int(np.argmin(fits)) if not fits.all() else len(fits), 1)
        rows = order[start:stop]
        columns = np.arange(sizes[stop - 1])
        places = np.where(columns < lengths[rows, None], matrix.indptr[rows, None] + columns, matrix.nnz)
        yield rows, indices[places], values[places]
        start = stop


def _conjugate_gradients(times, target: np.ndarray, point: np.ndarray, steps: int) -> np.ndarray:
    """Solve symmetric systems of many rows at once: `times` gives their products with (rows, dims)."""
    residual = target - times(point)
    direction = residual.copy()
    square = np.einsum("rd,rd->r", residual, residual)
    for _ in range(steps):
        product = times(direction)
        curvature = np.einsum("rd,rd->r", direction, product)
        length = np.divide(square, curvature, out=np.zeros_like(square), where=curvature > 0)[:, None]
        point = point + length * direction
        residual = residual - length * product
        before, square = square, np.einsum("rd,rd->r", residual, residual)
        turn = np.divide(square, before, out=np.zeros_like(square), where=before > 0)[:, None]
        direction = residual + turn * direction
    return point


def _penalty(matrix: sparse.csr_array, parameters: AlternatingParameters) -> np.ndarray:
    known = np.asarray(matrix.sum(axis=1)).ravel() + parameters.unobserved * matrix.shape[1]
    return (parameters.regularisation * np.maximum(known, 1e-6) ** parameters.frequency_power).astype(
        np.float32
    )


def _memberships(groups: np.ndarray, penalty: np.ndarray, count: int) -> sparse.csr_array:
    """Give the (groups, users) weights with which the vectors of users make that of their group."""
    members = np.flatnonzero(groups >= 0)
    weights = sparse.csr_array(
        (penalty[members], (groups[members], members)), shape=(count, len(groups)), dtype=np.float32
    )
    totals = np.asarray(weights.sum(axis=1)).ravel()
    return (sparse.diags_array(1 / np.where(totals > 0, totals, 1)) @ weights).astype(np.float32).tocsr()


def _priors(group_vectors: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Give each user the vector of the group, zeros without one; None when there are no groups."""
    if not len(group_vectors):
        return None
    return np.where(groups[:, None] >= 0, group_vectors[groups], np.float32(0))


def score_blocks(factors: Factors, block_users: int = BLOCK_USERS) -> ScoreBlocks:
    """Score all items for all users.

    Args:
        factors: See fit.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores.
    """
    items = np.ascontiguousarray(factors.items.T)
    for start in range(0, len(factors.users), block_users):
        yield start, factors.users[start : start + block_users] @ items
