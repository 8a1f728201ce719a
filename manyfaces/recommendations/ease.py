"""EASE^R: a linear item model with a closed-form solution.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019 (arXiv:1905.03375): with the user-item
matrix X (users x items), P = (X'X + lambda I)^-1 and B = I - P / diag(P), the scores are X B. B has a zero
diagonal, so an item never recommends itself. The scores are x @ B, not x @ B': B is not symmetric.

The same scores come from a users x users inverse A = (X X' + lambda I)^-1, because X P = A X:
scores = X - (A X) / diag(P) with P_ii = (1 - x_i' A x_i) / lambda. It is exact and cheaper when users are
fewer than items.
"""

import numpy as np
from scipy import sparse
from scipy.linalg import get_lapack_funcs

from manyfaces.progress import say
from manyfaces.recommendations.top_items import ScoreBlocks

MODEL_VERSION = "ease-1"
BLOCK_USERS = 512


def regularised_inverse(gram: np.ndarray, regularisation: float) -> np.ndarray:
    """Invert gram + regularisation * I by Cholesky (LAPACK potrf, potri), in place.

    Args:
        gram: (n, n) symmetric, positive semi-definite, float32 or float64, C-ordered; overwritten.
        regularisation: added to the diagonal; above 0.

    Returns:
        The (n, n) inverse, in the memory of `gram`.

    Raises:
        ValueError: If the regularisation is too small to make the matrix positive definite.
    """
    size = len(gram)
    if size == 0:
        return gram
    gram[np.diag_indices(size)] += regularisation
    factorise, invert = get_lapack_funcs(("potrf", "potri"), (gram,))
    # The transpose of a C-ordered matrix is what LAPACK calls ordered: nothing is copied. Its lower triangle
    # is the upper one of `gram`.
    inverse, failed = factorise(gram.T, lower=1, clean=0, overwrite_a=1)
    if not failed:
        inverse, failed = invert(inverse, lower=1, overwrite_c=1)
    if failed:
        raise ValueError(f"The matrix is singular: choose a regularisation above {regularisation:g}.")
    inverse = inverse.T
    for start in range(0, size, BLOCK_USERS):
        stop = min(start + BLOCK_USERS, size)
        inverse[start:stop, :start] = inverse[:start, start:stop].T
        square = inverse[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return inverse


def item_weights(matrix: sparse.csr_array, regularisation: float) -> np.ndarray:
    """Fit the items x items weights B.

    Args:
        matrix: (users, items) affinities.
        regularisation: lambda, above 0; in units of the squared affinity, so a bigger matrix wants more.

    Returns:
        (items, items) float32 with a zero diagonal; the scores of a row x are x @ weights.
    """
    gram = (matrix.T @ matrix).toarray().astype(np.float32, copy=False)
    weights = regularised_inverse(np.ascontiguousarray(gram), regularisation)
    weights /= -weights.diagonal()
    np.fill_diagonal(weights, 0)
    return weights


def item_form_blocks(
    matrix: sparse.csr_array, regularisation: float, block_users: int = BLOCK_USERS
) -> ScoreBlocks:
    """Score all users with the items x items form, the cheaper one when items are not more than users.

    Args:
        matrix: (users, items) affinities.
        regularisation: lambda, above 0.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores.
    """
    weights = item_weights(matrix, regularisation)
    for start in range(0, matrix.shape[0], block_users):
        yield start, matrix[start : start + block_users] @ weights


def user_form_blocks(
    matrix: sparse.csr_array, regularisation: float, block_users: int = BLOCK_USERS
) -> ScoreBlocks:
    """Score all users with the users x users form, the cheaper one when users are fewer than items.

    The inverse is float64: 1 - x_i' A x_i cancels for items that the others explain well.

    Args:
        matrix: (users, items) affinities.
        regularisation: lambda, above 0.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores.
    """
    users, items = matrix.shape
    gram = (matrix @ matrix.T).toarray().astype(np.float64)
    inverse = regularised_inverse(np.ascontiguousarray(gram), regularisation)
    columns = matrix.T.tocsr().astype(np.float64)
    smoothed = np.zeros(items)
    for start in range(0, users, block_users):
        block = matrix[start : start + block_users]
        explained = block.multiply((columns @ inverse[:, start : start + block_users]).T)
        smoothed += np.asarray(explained.sum(axis=0)).ravel()
    diagonal = (1 - smoothed) / regularisation
    for start in range(0, users, block_users):
        scores = (columns @ inverse[:, start : start + block_users]).T / -diagonal
        block = matrix[start : start + block_users].tocoo()
        scores[block.row, block.col] += block.data
        yield start, scores.astype(np.float32)


def absolute_regularisation(matrix: sparse.csr_array, relative: float) -> float:
    """Turn a regularisation that suits matrices of every size into lambda.

    The unit is the mean eigenvalue of the smaller Gram matrix: the sum of the squared affinities over
    min(users, items). A fixed lambda that suits ten thousand users drowns what a hundred users say.

    Args:
        matrix: (users, items) affinities.
        relative: multiple of the mean eigenvalue; 1 to 4 is good on all data that were tried.

    Returns:
        lambda, above 0 when `relative` is and the matrix is not all zero.
    """
    return relative * float(np.square(matrix.data, dtype=np.float64).sum()) / max(min(matrix.shape), 1)


def score_blocks(
    matrix: sparse.csr_array, relative: float, max_items: int, block_users: int = BLOCK_USERS
) -> ScoreBlocks:
    """Score all users by EASE^R in its cheaper form.

    When both users and items are more than `max_items`, only the first `max_items` columns take part: the
    most used items, as item indices count from the most used one.

    Args:
        matrix: (users, items) affinities, items by falling use.
        relative: regularisation in units of `absolute_regularisation`, above 0.
        max_items: edge of the biggest dense matrix; memory is about 16 bytes x its square.
        block_users: users that are scored at once.

    Returns:
        Blocks of the first user and the (users of the block, scored items) float32 scores.
    """
    users, items = matrix.shape
    if min(users, items) > max_items:
        say(f"collaborative: only the {max_items:,} most used of {items:,} items take part")
        matrix, items = matrix[:, :max_items], max_items
    form = user_form_blocks if users < items else item_form_blocks
    return form(matrix, absolute_regularisation(matrix, relative), block_users)
