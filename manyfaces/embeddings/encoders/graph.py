"""Graph propagation: users and items as the mean of what is a few steps around them.

The propagation of LightGCN (He et al. 2020) without its training. R holds the affinities, each divided by
the square roots of its user's and its item's sum. Layer k + 1 of the items is R' times layer k of the users,
and the other way round; a vector is the mean of the layers. Layer 0 comes from a truncated SVD of R, which
makes the propagation a filter that weakens what few have in common (Shen et al. 2021, How Powerful is Graph
Convolution for Recommendation?), or it is a random projection.

All layers of a user are products of the user's row of R with vectors of items, so the mean of these is all
that has to be kept: users of the fit and new ones get their vectors by one and the same product.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.progress import say
from manyfaces.store import Artifact

version = "graph-1"
BLOCK_ROWS = 8192
# Singular values below this share of the largest, which is 1, are noise: they do not become dimensions.
RANK_TOLERANCE = 1e-6

Base = Literal["svd", "random"]


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of `graph`.

    Attributes:
        dims: Length of a vector; shorter if the graph has a lower rank and the base is svd.
        layers: Steps of propagation, K; 0 leaves the base.
        base: Layer 0 of the items: svd, or random directions, which need no decomposition.
        shared_direction: Whether vectors keep the direction that says how active a user and how popular an
            item is. It is most of every vector: segments are better without it, while ranking items for a
            user by scalar products needs it.
        max_training_users: Users whose edges make the graph of the items; a random sample by seed if there
            are more. All users are encoded.
        seed: Seed of the sample and of the random directions.
    """

    dims: int = setting(64, low=1)
    layers: int = setting(2, low=0)
    base: Base = "svd"
    shared_direction: bool = False
    max_training_users: int = setting(200_000, low=1)
    seed: int = setting(7, low=0)

    def __post_init__(self) -> None:
        """Refuse a base that there is not.

        Raises:
            ValueError: If the base is unknown.
        """
        if self.base not in ("svd", "random"):
            raise ValueError(f"Unknown base '{self.base}': take svd or random.")


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Propagate vectors over the graph of a history; see Encoder.

    Returns:
        Arrays item_ids (m,); user_readout (m, d), what a user's row of affinities is multiplied with, the
        items' share of the normalisation included; item_vectors (m, d), the items in the space of the users:
        the scalar product of both ranks the items for a user.

    Raises:
        ValueError: If an affinity is negative or not finite.
    """
    _check_values(history.matrix)
    arrays = {"item_ids": np.asarray(history.item_ids, dtype=np.str_)}
    meta = {
        "algorithm": f"LightGCN propagation without training, base {parameters.base}",
        "parameters": asdict(parameters),
        "rows": history.matrix.shape[0],
        "metrics": {},
        "log": [],
    }
    edges = _sampled(history.matrix, parameters)
    if edges.nnz == 0:
        return Artifact(arrays, meta)
    item_scale = _scale(edges.sum(axis=0))
    graph = sparse.csr_array(edges.multiply(_scale(edges.sum(axis=1))[:, None]).multiply(item_scale))
    # Layer k of the users is the graph times reads[k].
    base_read, base = _first_layer(graph, np.sqrt(edges.sum(axis=0)), parameters)
    reads, items = [base_read], [base]
    for layer in range(parameters.layers):
        items.append(graph.T @ (graph @ reads[layer]))
        reads.append(items[layer])
        say(f"graph: layer {layer + 1} of {parameters.layers}")
    arrays["user_readout"] = (item_scale[:, None] * np.mean(reads, axis=0)).astype(np.float32)
    arrays["item_vectors"] = round_vectors(np.mean(items, axis=0))
    meta["metrics"] = {
        "dims": base.shape[1],
        "edges": graph.nnz,
        "items": int((item_scale > 0).sum()),
        "training_rows": edges.shape[0],
    }
    return Artifact(arrays, meta)


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the vectors (n, d) of users; see Encoder.

    They have length 1, because the length would mostly be how much a user does, and does not change how items
    rank for the user. A user without an item of the graph has a vector of zeros, as has everyone if the graph
    was empty.

    Raises:
        ValueError: If an affinity is negative or not finite.
    """
    _check_values(history.matrix)
    matrix = history.aligned(artifact.arrays["item_ids"]).matrix
    readout = artifact.arrays.get("user_readout")
    if readout is None:
        return np.zeros((matrix.shape[0], artifact.meta["parameters"]["dims"]), np.float32)
    vectors = np.zeros((matrix.shape[0], readout.shape[1]), np.float32)
    for start in range(0, matrix.shape[0], BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        vectors[rows] = round_vectors(normalize(matrix[rows].astype(np.float64) @ readout))
    return vectors


def _check_values(matrix: sparse.csr_array) -> None:
    if matrix.nnz and not (np.isfinite(matrix.data).all() and matrix.data.min() >= 0):
        raise ValueError("The affinities of users to items must be finite and at least 0.")


def _sampled(matrix: sparse.csr_array, parameters: Parameters) -> sparse.csr_array:
    users = matrix.shape[0]
    if users > parameters.max_training_users:
        random = np.random.default_rng(parameters.seed)
        matrix = matrix[np.sort(random.choice(users, parameters.max_training_users, replace=False))]
    edges = sparse.csr_array(matrix, dtype=np.float64)
    edges.eliminate_zeros()
    return edges


def _scale(sums: np.ndarray) -> np.ndarray:
    """Return one over the square roots of sums, and 0 for those that are 0."""
    return np.where(sums > 0, 1 / np.sqrt(np.where(sums > 0, sums, 1)), 0)


def _first_layer(
    graph: sparse.csr_array, activity: np.ndarray, parameters: Parameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return what layer 0 of the users is read from, and layer 0 of the items, both (m, d).

    The direction that all share is known beforehand: in every graph the square roots of the sums of the users
    and of the items are a pair of singular vectors of the singular value 1.

    Args:
        graph: The normalised affinities (n, m).
        activity: Square roots of the sums of the items (m,).
        parameters: See Parameters.
    """
    shared = activity / np.linalg.norm(activity)
    if parameters.base == "random":
        directions = np.random.default_rng(parameters.seed).normal(size=(len(shared), parameters.dims))
        directions *= (activity > 0)[:, None] / np.sqrt(parameters.dims)
        if not parameters.shared_direction:
            directions -= np.outer(shared, shared @ directions)
        return directions, directions
    rank = min(parameters.dims + (not parameters.shared_direction), *graph.shape)
    _, values, right = randomized_svd(graph, rank, random_state=parameters.seed, flip_sign=True)
    kept = values > RANK_TOLERANCE
    values, right = values[kept], right[kept].T
    turn = np.eye(len(values)) if parameters.shared_direction else _without(shared @ right)
    return (right / np.sqrt(values)) @ turn, (right * np.sqrt(values)) @ turn


def _without(direction: np.ndarray) -> np.ndarray:
    """Return axes (k, k - 1) at right angles to a direction (k,); one of zeros if there is none."""
    axes = np.linalg.svd(direction[None])[2][1:].T
    return axes if axes.size else np.zeros((len(direction), 1))
