"""What every clusterer takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from manyfaces.segments.quality import segment_means

# What a clusterer and a judge call users: in no segment, and not among those that a candidate was tried on.
NOISE = -1
UNSEEN = -2


@dataclass(frozen=True)
class FitInputs:
    """The users of one segmentation and what is known of them.

    Attributes:
        vectors: (n, d) float32, finite.
        keys: (n,) user keys, strictly ascending.
        seed: Seed of every random start and sample.
        start: (k, d) centres of the last fit in the same space: k-means refits from them, with that k and
            without a new vote.
        labels: (n,) text, None where unknown; what k-nearest-neighbours learns from.
        relations: (n, n) symmetric weights from 0 on without a diagonal; what label propagation reads.
        judge: Gives the predictive value of a labelling, higher is better, NaN where there is none. It gets
            (n,) labels: NOISE in no segment, UNSEEN outside the sample that candidates are tried on.
        judged_by: Fingerprint of what the judge knows: a function has none, and another judge may elect
            another candidate.
    """

    vectors: np.ndarray
    keys: pl.Series
    seed: int
    start: np.ndarray | None = None
    labels: np.ndarray | None = None
    relations: sparse.csr_array | None = None
    judge: Callable[[np.ndarray], float] | None = None
    judged_by: str = ""


@dataclass(frozen=True)
class Clustering:
    """The segments that a clusterer found; numbers run from 0, in any order.

    Attributes:
        labels: (n,) number of the user's segment, NOISE for none.
        centres: (k, d) float32 in the space of the vectors; the mean of the members where the algorithm has
            no centres of its own.
        candidates: Rows of the table of candidates, one with is_champion; none where there are no users.
        names: (k,) names that the algorithm knows.
        parents: (k,) number of the segment's parent on the next coarser level of a hierarchy.
        coarser: By number of segments of each coarser level, the (k,) numbers of the segments' ancestors on
            it: `coarser[4][labels]` are the users' segments on the level of four.
        probability: (n,) probability of the user's segment, NaN where there is none.
    """

    labels: np.ndarray
    centres: np.ndarray
    candidates: list[dict]
    names: list[str] | None = None
    parents: np.ndarray | None = None
    coarser: dict[int, np.ndarray] = field(default_factory=dict)
    probability: np.ndarray | None = None


def label_series(labels: np.ndarray) -> pl.Series:
    """Return labels as a column of text; what is unknown is null."""
    return pl.Series([None if label is None else str(label) for label in labels], dtype=pl.String)


def labels_of(table: pl.DataFrame, keys: pl.Series) -> np.ndarray:
    """Return the labels of users as FitInputs takes them.

    Args:
        table: Frame user_key, label; users who are not in `keys` are passed over, and of several labels of
            one user the first in the alphabet counts.
        keys: (n,) user keys.
    """
    first = table.group_by("user_key").agg(pl.col("label").min())
    joined = keys.alias("user_key").to_frame().join(first, on="user_key", how="left", maintain_order="left")
    return joined["label"].to_numpy().astype(object)


def relations_of(table: pl.DataFrame, keys: pl.Series) -> sparse.csr_array:
    """Return relations of users as FitInputs takes them.

    Args:
        table: Frame user_key, related_user_key, weight. Both directions and all rows of a pair are added up;
            a row of one user only or of users who are not in `keys` is passed over.
        keys: (n,) user keys.
    """
    places = keys.alias("user_key").to_frame().with_row_index("place")
    pairs = (
        table.filter(pl.col("user_key") != pl.col("related_user_key"))
        .join(places, on="user_key")
        .join(places, left_on="related_user_key", right_on="user_key", suffix="_related")
    )
    one, other = pairs["place"].to_numpy(), pairs["place_related"].to_numpy()
    # Sorted, so that sums of weights do not depend on the order of the rows.
    order = np.lexsort((pairs["weight"].to_numpy(), other, one))
    weights = pairs["weight"].cast(pl.Float64).to_numpy()[order]
    matrix = sparse.csr_array((weights, (one[order], other[order])), shape=(len(keys), len(keys)))
    return sparse.csr_array(matrix + matrix.T)


def predictive_value(inputs: FitInputs, rows: np.ndarray, labels: np.ndarray) -> float | None:
    """Ask the judge about a labelling of some rows; None without a judge or a value."""
    if inputs.judge is None:
        return None
    everybody = np.full(len(inputs.vectors), UNSEEN)
    everybody[rows] = labels
    value = float(inputs.judge(everybody))
    return round(value, 6) if np.isfinite(value) else None


def unassigned(inputs: FitInputs, candidate: dict) -> Clustering:
    """Return a result in which every user is in no segment, for the reason that the candidate states."""
    return Clustering(
        labels=np.full(len(inputs.vectors), NOISE),
        centres=inputs.vectors[:0],
        candidates=[candidate | {"is_champion": True}] if len(inputs.vectors) else [],
    )


def group_clustering(
    points: np.ndarray, labels: np.ndarray, candidates: list[dict], **more: Any
) -> Clustering:
    """Return a result whose centres are the means of the groups, with labels made consecutive."""
    inside = labels >= 0
    found, codes = np.unique(labels[inside], return_inverse=True)
    numbered = np.full(len(labels), NOISE)
    numbered[inside] = codes
    centres = segment_means(points[inside].astype(np.float64), codes, len(found))
    return Clustering(numbered, centres.astype(np.float32).round(6), candidates, **more)
