"""Communities of users who are related, by label propagation (Raghavan, Albert and Kumara 2007)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

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


def fit_label_propagation(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Find communities of related users; users without relations, and small communities, are in no segment.

    See `validate_spec` for the settings. The one candidate states the modularity of all communities, small
    ones included, and the rounds until nobody changed.

    Raises:
        ValueError: If the relations are not a symmetric (n, n) matrix of numbers from 0 on.
    """
    settings = settings_of(spec)
    relations = _checked_relations(inputs)
    if not relations.nnz:
        quality = measure_quality(inputs.vectors, np.full(len(inputs.vectors), NOISE))
        reason = "Nobody assigned: no two users of this segmentation are related."
        return unassigned(inputs, candidate_row(0, quality, name="none", parameters={}, reason=reason))

    order = hash_order(inputs.keys)
    communities, rounds = propagate_labels(relations, order, settings["max_rounds"])
    parameters = {"modularity": modularity(relations, communities), "rounds": rounds}
    communities[np.diff(relations.indptr) == 0] = NOISE
    sizes = np.bincount(communities[communities >= 0], minlength=1)
    smallest = (spec.get("min_segment_share") or 0) * len(communities)
    labels = np.where((communities >= 0) & (sizes[communities] >= smallest), communities, NOISE)

    rows = hash_sample(inputs.keys, QUALITY_USERS)
    quality = measure_quality(inputs.vectors[rows], labels[rows], inputs.seed)
    found, kept = np.count_nonzero(sizes), len(np.unique(labels[labels >= 0]))
    row = candidate_row(
        kept,
        quality,
        name="communities",
        parameters=parameters,
        predictive=predictive_value(inputs, rows, labels[rows]),
        reason=f"The only candidate: {found} communities after {rounds} rounds, with modularity "
        f"{parameters['modularity']:.2f}; {kept} hold at least {smallest / len(labels):.1%} of the users.",
    )
    return group_clustering(inputs.vectors, labels, [row | {"is_champion": True}])


def propagate_labels(
    relations: sparse.csr_array, order: np.ndarray, max_rounds: int
) -> tuple[np.ndarray, int]:
    """Let every user take the label that weighs most among the related, until nobody changes.

    Users are visited in blocks in which no two are related, so that nobody decides by a label that changes
    at the same time: labels then cannot swing to and fro (Cordasco and Gargano 2010). A user keeps the own
    label if none weighs more; otherwise, of equals, the label that started at the user first in `order`
    is taken.

    Args:
        relations: (n, n) symmetric weights above 0, no diagonal.
        order: (n,) ranks of the users without meaning, a permutation of 0 to n - 1: who goes first and which
            of equal labels wins.
        max_rounds: Visits to all users, at most.

    Returns:
        (n,) communities, any numbers below n; users without relations stay alone. And the rounds it took.
    """
    labels = order.astype(np.int64)
    blocks = [_Block(relations, rows) for rows in independent_blocks(relations, order)]
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
    return blocks + [rest[order[rest] % REST_BLOCKS == part] for part in range(REST_BLOCKS) if len(rest)]


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

    def __init__(self, relations: sparse.csr_array, rows: np.ndarray) -> None:
        part = relations[rows]
        self._rows = rows
        self._place = np.repeat(np.arange(len(rows)), np.diff(part.indptr))
        self._related, self._weights = part.indices, part.data
        self._users = relations.shape[0]

    def visit(self, labels: np.ndarray) -> int:
        """Give every user of the block its weightiest label; returns how many changed."""
        if not len(self._rows):
            return 0
        votes = self._place * self._users + labels[self._related]
        votes, which = np.unique(votes, return_inverse=True)
        weights = np.bincount(which, weights=self._weights).round(9)
        place, label = np.divmod(votes, self._users)
        most = np.maximum.reduceat(weights, np.searchsorted(place, np.arange(len(self._rows))))
        leading = weights == most[place]
        own = labels[self._rows]
        stays = np.zeros(len(own), dtype=bool)
        stays[place[leading & (label == own[place])]] = True
        # Votes are sorted by user and label: the first leading one has the smallest label.
        first = np.unique(place[leading], return_index=True)[1]
        new = np.where(stays, own, label[leading][first])
        labels[self._rows] = new
        return int(np.count_nonzero(new != own))


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
