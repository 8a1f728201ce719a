"""Communities of users who are related, by label propagation (Raghavan, Albert and Kumara 2007)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments.candidates import candidate_row
from manyfaces.segments.inputs import (
    NOISE,
    Clustering,
    FitInputs,
    group_clustering,
    predictive_value,
    unassigned,
)
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.settings import settings_of
from manyfaces.segments.users import hash_order, hash_sample

MODEL_VERSION = "label_propagation-1"

# Users whose vectors the indices are measured on.
QUALITY_USERS = 20_000
# Blocks of users that are visited one after the other.
INDEPENDENT_BLOCKS = 64
REST_BLOCKS = 16
# Orders of visits that are tried; fewer where orders times entries of the matrix would pass MAX_VISITS.
ORDERS = 5
MAX_VISITS = 10_000_000


def fit_label_propagation(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Find communities of related users; users without relations, and small communities, are in no segment.

    Where labels go depends on who is visited first, so several orders are tried and the communities with the
    highest modularity are taken. The stability of each is its mean adjusted Rand index with the others. See
    `validate_spec` for the settings.

    Raises:
        ValueError: If the relations are not a symmetric (n, n) matrix of numbers from 0 on.
    """
    relations = _checked_relations(inputs)
    if not relations.nnz:
        quality = measure_quality(inputs.vectors, np.full(len(inputs.vectors), NOISE))
        reason = "Nobody assigned: no two users of this segmentation are related."
        return unassigned(inputs, candidate_row(0, quality, name="none", parameters={}, reason=reason))

    is_related = np.diff(relations.indptr) > 0
    max_rounds = settings_of(spec)["max_rounds"]
    runs = [propagate_labels(relations, order, max_rounds) for order in _orders(inputs, relations.nnz)]
    smallest = (spec.get("min_segment_share") or 0) * len(is_related)
    rows = hash_sample(inputs.keys, QUALITY_USERS)
    divisions, candidates = [], []
    for number, (communities, rounds) in enumerate(runs, start=1):
        labels = _large_communities(communities, is_related, smallest)
        quality = measure_quality(inputs.vectors[rows], labels[rows], inputs.seed)
        others = [run[0] for place, run in enumerate(runs, start=1) if place != number]
        candidates.append(
            candidate_row(
                len(np.unique(labels[labels >= 0])),
                quality,
                name=f"order={number}",
                parameters={"modularity": modularity(relations, communities), "rounds": rounds},
                stability=_agreement(communities[is_related], [other[is_related] for other in others]),
                predictive=predictive_value(inputs, rows, labels[rows]),
            )
        )
        divisions.append(labels)
    champion = _elect_modularity(candidates)
    return group_clustering(inputs.vectors, divisions[champion], candidates)


def propagate_labels(
    relations: sparse.csr_array, order: np.ndarray, max_rounds: int
) -> tuple[np.ndarray, int]:
    """Let every user take the label that weighs most among the related, until nobody changes.

    Users are visited in blocks in which no two are related, so that nobody decides by a label that changes
    at the same time (Cordasco and Gargano 2010). Of labels that weigh the same a user takes the one that a
    fixed preference of the own ranks first: taking the smallest would let one label flood the users. Every
    change adds weight within communities or, without loss, preference, so labels come to rest.

    Args:
        relations: (n, n) symmetric weights above 0, no diagonal.
        order: (n,) a permutation of 0 to n - 1 without meaning: each user's first label, on which the order
            of the visits and all preferences depend.
        max_rounds: Visits to all users, at most.

    Returns:
        (n,) communities, numbers below n; users without relations stay alone. And the rounds it took.
    """
    labels = order.astype(np.int64)
    blocks = [_Block(relations, rows, order[rows]) for rows in independent_blocks(relations, order)]
    rounds, changed = 0, 1
    while changed and rounds < max_rounds:
        changed = sum(block.visit(labels) for block in blocks)
        rounds += 1
    return labels, rounds


def independent_blocks(relations: sparse.csr_array, order: np.ndarray) -> list[np.ndarray]:
    """Divide all users with relations into blocks in which no two are related (Jones and Plassmann 1993).

    Users so densely related that they would need more than INDEPENDENT_BLOCKS are divided into REST_BLOCKS by
    `order`: with so many relations outside their block, a few within do no harm.

    Args:
        relations: (n, n) symmetric, no diagonal.
        order: (n,) ranks of the users.

    Returns:
        Ascending rows of each block.
    """
    waiting = np.diff(relations.indptr) > 0
    one, other = relations.nonzero()
    blocks = []
    while waiting.any() and len(blocks) < INDEPENDENT_BLOCKS:
        highest = np.full(len(order), -1)
        np.maximum.at(highest, one, order[other])
        block = np.flatnonzero(waiting & (order > highest))
        blocks.append(block)
        waiting[block] = False
        both = waiting[one] & waiting[other]
        one, other = one[both], other[both]
    rest = np.flatnonzero(waiting)
    parts = [rest[order[rest] % REST_BLOCKS == part] for part in range(REST_BLOCKS)]
    return blocks + [part for part in parts if len(part)]


def modularity(relations: sparse.csr_array, labels: np.ndarray) -> float:
    """Return how much more weight lies within communities than by chance (Newman 2004), -0.5 to 1.

    Args:
        relations: (n, n) symmetric weights above 0, no diagonal, at least one.
        labels: (n,) communities, 0 or more.
    """
    entries = relations.tocoo()
    total = entries.data.sum()
    within = entries.data[labels[entries.row] == labels[entries.col]].sum() / total
    degrees = np.bincount(labels, weights=relations.sum(axis=1)) / total
    return round(float(within - (degrees**2).sum()), 6)


class _Block:
    """The relations of some users, ready to be counted again and again."""

    def __init__(self, relations: sparse.csr_array, rows: np.ndarray, ranks: np.ndarray) -> None:
        part = relations[rows]
        self._rows, self._ranks = rows, ranks
        self._place = np.repeat(np.arange(len(rows)), np.diff(part.indptr))
        self._related, self._weights = part.indices, part.data
        self._users = relations.shape[0]

    def visit(self, labels: np.ndarray) -> int:
        """Give every user of the block the weightiest label; returns how many changed."""
        votes = self._place * self._users + labels[self._related]
        votes, which = np.unique(votes, return_inverse=True)
        weights = np.bincount(which, weights=self._weights).round(9)
        place, label = np.divmod(votes, self._users)
        most = np.maximum.reduceat(weights, np.searchsorted(place, np.arange(len(self._rows))))
        leading = weights == most[place]
        place, label = place[leading], label[leading]
        ranked = np.lexsort((_preference(self._ranks[place], label), place))
        first = np.unique(place[ranked], return_index=True)[1]
        new = label[ranked][first]
        changed = int(np.count_nonzero(new != labels[self._rows]))
        labels[self._rows] = new
        return changed


def _preference(users: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return numbers that look random but are always the same for a user and a label (Steele et al. 2014)."""
    mixed = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= labels.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _orders(inputs: FitInputs, relations: int) -> list[np.ndarray]:
    """Return as many orders of the users as the number of relations leaves time for."""
    first = hash_order(inputs.keys)
    random = np.random.default_rng(inputs.seed)
    further = min(ORDERS, MAX_VISITS // relations) - 1
    return [first, *(random.permutation(len(first))[first] for _ in range(further))]


def _large_communities(communities: np.ndarray, is_related: np.ndarray, smallest: float) -> np.ndarray:
    """Return the communities without users who are alone and without those below a number of users."""
    sizes = np.bincount(communities[is_related], minlength=len(communities))
    return np.where(is_related & (sizes[communities] >= smallest), communities, NOISE)


def _agreement(communities: np.ndarray, others: list[np.ndarray]) -> float | None:
    """Mean adjusted Rand index of some communities with others; None without others."""
    scores = [adjusted_rand_score(communities, other) for other in others]
    return round(float(np.mean(scores)), 6) if scores else None


def _elect_modularity(rows: list[dict]) -> int:
    """Choose the first row of the highest modularity, write why into all, and return its place."""
    champion = int(np.argmax([row["parameters"]["modularity"] for row in rows]))
    for place, row in enumerate(rows):
        row["is_champion"] = place == champion
        text = (
            f"{row['clusters']} communities after {row['parameters']['rounds']} rounds, "
            f"modularity {row['parameters']['modularity']:.3f}"
        )
        highest = " the highest of all orders," if len(rows) > 1 else ""
        row["reason"] = f"Chosen,{highest} {text}." if place == champion else f"{text}."
    return champion


def _checked_relations(inputs: FitInputs) -> sparse.csr_array:
    """Return the relations without diagonal and zeros; raise a ValueError if they are no such matrix."""
    users = len(inputs.vectors)
    if inputs.relations is None:
        return sparse.csr_array((users, users))
    relations = sparse.csr_array(inputs.relations, dtype=np.float64, copy=True)
    if relations.shape != (users, users):
        raise ValueError(f"Relations of {users} users need a square of that size, not {relations.shape}.")
    if not np.isfinite(relations.data).all() or (relations.data < 0).any():
        raise ValueError("Weights of relations must be numbers from 0 on: leave out or mend the others.")
    relations.setdiag(0)
    relations.eliminate_zeros()
    relations.sort_indices()
    difference = relations - relations.T
    if difference.nnz and abs(difference).max() > 1e-9 * relations.data.max():
        raise ValueError("Relations must weigh the same in both directions: add the matrix to its transpose.")
    return relations
