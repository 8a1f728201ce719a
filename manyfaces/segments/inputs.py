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
        start: (k, d) centres of the last fit in the same space. Algorithms of centres refit from them, with
            that k and without a new vote; the others pass it over.
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
