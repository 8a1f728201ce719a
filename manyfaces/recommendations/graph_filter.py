"""GF-CF: scores by two fixed filters of the graph of users and items; nothing is trained.

Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021 (arXiv:2108.07567). With the
normalised matrix R = Du^-1/2 X Di^-1/2 (Du, Di: sums of the rows and columns of X), the scores of a row x are

    x R'R + share * x Di^-1/2 V V' Di^1/2

The first filter counts the ways from the user's items to others by way of one user, the second is the ideal
low-pass of the k leading right singular vectors V of R.

Memory, for a catalogue that EASE^R cannot hold: V and its work space are 4 x items x k floats, R'R keeps the
`item_links` strongest entries of each row (8 bytes each), and one block of scores is dense. One million users
with 50 items each, 50,000 items: X and R by row and column 1.2 GB, R'R 40 MB, V 0.2 GB, a block 0.1 GB.
"""

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, qr

from manyfaces.recommendations.top_items import ScoreBlocks, entry_rows, lower_bound

MODEL_VERSION = "graph_filter-1"
BLOCK_USERS = 512
BLOCK_ITEMS = 512
DIMS = 256
LOW_PASS_SHARE = 0.3
"""Weight of the low-pass beside the linear filter, that of the paper."""
ITEM_LINKS = 100
OVERSAMPLING = 32
ITERATIONS = 4


def normalised(matrix: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray]:
    """Divide every entry by the square roots of the sums of its row and of its column.

    Args:
        matrix: (users, items) affinities, none negative.

    Returns:
        R, (users, items) float32, and the (items,) square roots of the column sums.
    """
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    user_roots, item_roots = (
        np.sqrt(np.asarray(matrix.sum(axis=axis), np.float64).ravel()) for axis in (1, 0)
    )
    scales = [sparse.diags_array(1 / np.where(roots > 0, roots, 1)) for roots in (user_roots, item_roots)]
    return (scales[0] @ matrix @ scales[1]).tocsr().astype(np.float32), item_roots.astype(np.float32)


def leading_vectors(
    matrix: sparse.csr_array, dims: int, seed: int, iterations: int = ITERATIONS
) -> np.ndarray:
    """Find the leading right singular vectors by subspace iteration on R'R, from a random start.

    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4, on the
    items' side alone: nothing that is as long as the users is kept.

    Args:
        matrix: R, (users, items).
        dims: how many; fewer when the matrix has a lower rank.
        seed: of the random start.
        iterations: passes over the matrix.

    Returns:
        (items, dims) float32 with orthonormal columns, the leading one first.
    """
    users, items = matrix.shape
    width = min(dims + OVERSAMPLING, users, items)
    if width == 0 or not matrix.data.any():
        return np.zeros((items, 0), np.float32)
    basis = np.random.default_rng(seed).standard_normal((items, width), np.float32)
    basis = qr(_gram_times(matrix, basis), mode="economic")[0]
    for _ in range(iterations - 1):
        basis = qr(_gram_times(matrix, basis), mode="economic")[0]
    values, turn = eigh(basis.T @ _gram_times(matrix, basis))
    kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:dims]
    return np.ascontiguousarray(basis @ turn[:, kept], np.float32)


def _gram_times(matrix: sparse.csr_array, vectors: np.ndarray) -> np.ndarray:
    """Give R'(R vectors), (items, columns) float32, by blocks of users."""
    product = np.zeros_like(vectors)
    block = max(BLOCK_USERS, len(vectors) // 2)
    for start in range(0, matrix.shape[0], block):
        part = matrix[start : start + block]
        product += part.T @ (part @ vectors)
    return product


def strongest_links(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """Give R'R with the strongest entries of every row.

    Args:
        matrix: R, (users, items).
        count: entries of a row that are kept.

    Returns:
        (items, items) float32 CSR.
    """
    items = matrix.shape[1]
    columns = matrix.T.tocsr()
    parts = [sparse.csr_array((0, items), dtype=np.float32)]
    for start in range(0, items, BLOCK_ITEMS):
        links = (columns[start : start + BLOCK_ITEMS] @ matrix).toarray()
        row, column = np.nonzero((links > 0) & (links >= lower_bound(links, min(count, items))))
        values = links[row, column]
        order = np.lexsort((-values, row))
        # Who has fewer than `count` links keeps all of them.
        place = np.searchsorted(row, np.arange(len(links))) + count - 1
        is_full = np.bincount(row, minlength=len(links)) >= count
        weakest = np.zeros(len(links), links.dtype)
        weakest[is_full] = values[order[place[is_full]]]
        kept = values >= weakest[row]
        parts.append(sparse.csr_array((values[kept], (row[kept], column[kept])), shape=links.shape))
    return sparse.vstack(parts, "csr")


def score_blocks(
    matrix: sparse.csr_array,
    *,
    dims: int = DIMS,
    low_pass_share: float = LOW_PASS_SHARE,
    item_links: int = ITEM_LINKS,
    seed: int = 7,
    block_users: int = BLOCK_USERS,
) -> ScoreBlocks:
    """Score all items for all users.

    Args:
        matrix: (users, items) affinities, none negative.
        dims: singular vectors of the low-pass, at most.
        low_pass_share: weight of the low-pass beside the linear filter, at least 0.
        item_links: entries of each row of R'R that are kept.
        seed: of the search for singular vectors.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores.
    """
    scaled, item_roots = normalised(matrix)
    links = strongest_links(scaled, item_links)
    vectors = leading_vectors(scaled, dims, seed)
    inner = vectors / np.where(item_roots > 0, item_roots, 1)[:, None]
    outer = np.ascontiguousarray(low_pass_share * (vectors * item_roots[:, None]).T)
    for start in range(0, matrix.shape[0], block_users):
        block = matrix[start : start + block_users]
        scores = (block @ inner) @ outer
        linear = (block @ links).tocsr()
        # Where there is something to add: a dense copy would cost more than the product.
        scores.reshape(-1)[entry_rows(linear) * matrix.shape[1] + linear.indices] += linear.data
        yield start, scores
