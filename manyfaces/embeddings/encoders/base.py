"""What every encoder of users reads, and what it has to offer."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from manyfaces.store import Artifact


@dataclass(frozen=True)
class UserHistory:
    """What n users did with m items, in arrays; each encoder reads the part that it needs.

    Attributes:
        item_ids: (m,) text, the columns of `matrix`. A fitted encoder keeps them, because a later build may
            have other items, or the same ones in another order.
        matrix: (n, m) float32, affinity of user to item, not negative.
        feature_names: (f,) text, the columns of `features`.
        features: (n, f) float32, normalised features of each user without NaN.
        sequence_items: Column numbers of the items of all users one after another, each user's oldest first;
            only items that are columns of `matrix`.
        sequence_offsets: (n + 1,), user u owns sequence_items[offsets[u]:offsets[u + 1]].
    """

    item_ids: np.ndarray
    matrix: sparse.csr_array
    feature_names: np.ndarray
    features: np.ndarray
    sequence_items: np.ndarray
    sequence_offsets: np.ndarray

    def aligned(self, item_ids: np.ndarray) -> "UserHistory":
        """Return the same history with the given items as columns: others are dropped, unknown ones empty.

        An encoder that was fitted at an earlier wall reads today's history through the items of its training.
        """
        if np.array_equal(self.item_ids, item_ids):
            return self
        position_of = {item: position for position, item in enumerate(item_ids.tolist())}
        positions = np.array([position_of.get(item, -1) for item in self.item_ids.tolist()], dtype=np.int64)
        kept = np.flatnonzero(positions >= 0)
        columns = sparse.csr_array(
            (np.ones(len(kept), np.float32), (kept, positions[kept])),
            shape=(len(self.item_ids), len(item_ids)),
        )
        moved = positions[self.sequence_items] if len(self.item_ids) else self.sequence_items[:0]
        lengths = np.concatenate([[0], np.cumsum(moved >= 0)])
        return UserHistory(
            item_ids=item_ids,
            matrix=sparse.csr_array(self.matrix @ columns),
            feature_names=self.feature_names,
            features=self.features,
            sequence_items=moved[moved >= 0],
            sequence_offsets=lengths[self.sequence_offsets],
        )


class Encoder(Protocol):
    """A kind of encoder. Implementations are modules or frozen classes without state of their own.

    Attributes:
        version: Name and number of the algorithm, changed whenever its vectors change.
        Parameters: Frozen dataclass of everything that decides what a fit does, besides the data, with its
            defaults. The field `seed` is among them.
    """

    version: str
    Parameters: type

    def fit(self, history: UserHistory, parameters: Any) -> Artifact:
        """Fit on a history; the artefact holds all that `encode` needs, and the course of training."""

    def encode(self, history: UserHistory, artifact: Artifact) -> np.ndarray:
        """Return (n, d) float32 vectors rounded to 6 digits without training, for any users."""
