"""Blocks of features that are fused: each kind is prepared in its own way, by what was learned once.

What a fit learns (means, spreads, idf) is kept by column name, so that users of a later wall, with other
categories or attribute values, are placed in the same space.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler, normalize

OUTLIER_DEVIATIONS = 3.0
BLOCK_ROWS = 8192

Values = np.ndarray | sparse.csr_array
Kind = Literal["plain", "activity", "categories", "directions"]


@dataclass(frozen=True)
class Block:
    """Features (n, d) of n users.

    Attributes:
        values: Dense or sparse.
        columns: (d,) name of each column; numbers if there are no better names.
        kind: How the values are prepared. `plain`: as they are. `activity`: each column is brought to
            variance 1 and cut at OUTLIER_DEVIATIONS, what is missing (NaN) counts as average. `categories`:
            amounts by category, not negative; tf-idf of their square roots, rows of length 1, so that the mix
            counts and not the amount. `directions`: vectors of which only the direction counts, because their
            length is mostly how much a user does; rows of length 1 or 0.
    """

    values: Values
    columns: Sequence[str] | None = None
    kind: Kind = "plain"

    def __len__(self) -> int:
        """Number of users."""
        return self.values.shape[0]

    @property
    def names(self) -> np.ndarray:
        """Names (d,) of the columns."""
        columns = range(self.values.shape[1]) if self.columns is None else self.columns
        return np.array([str(name) for name in columns], dtype=np.str_)

    def is_finite(self) -> bool:
        """Whether no value is infinite, nor missing where that means nothing."""
        values = self.values.data if sparse.issparse(self.values) else self.values
        return not np.isinf(values).any() if self.kind == "activity" else bool(np.isfinite(values).all())


def attribute_block(attributes: pl.DataFrame) -> Block:
    """Return a column of 0 and 1 per value of each attribute; an unknown value (null) is all zeros.

    Columns are ordered by attribute and value. The order of the rows is kept.
    """
    pairs = [
        (name, value)
        for name in attributes.columns
        for value in attributes[name].drop_nulls().unique().sort()
    ]
    values = [(attributes[name] == value).fill_null(False).to_numpy() for name, value in pairs]
    matrix = np.array(values, np.float32).T if values else np.zeros((attributes.height, 0), np.float32)
    return Block(matrix, [f"{name}={value}" for name, value in pairs])


@dataclass(frozen=True)
class Preparation:
    """What was learned of a block; turns blocks of the same kind into columns of total variance 1.

    Attributes:
        kind: Kind of the block.
        columns: (d,) names of its columns.
        offset: (d,) subtracted from `activity` columns first.
        factor: (d,) `activity` columns are then divided by it; idf of `categories`; 1 otherwise.
        mean: (d,) mean of the prepared columns.
        scale: Square root of their total variance; 0 if nothing varies.
    """

    kind: Kind
    columns: np.ndarray
    offset: np.ndarray
    factor: np.ndarray
    mean: np.ndarray
    scale: float

    @classmethod
    def learn(cls, block: Block) -> "Preparation":
        """Learn from the users of a fit."""
        width = block.values.shape[1]
        offset, factor = np.zeros(width), np.ones(width)
        if block.kind == "activity" and block.values.size:
            with np.errstate(invalid="ignore"):  # a column that is missing throughout
                scaler = StandardScaler().fit(np.asarray(block.values, np.float64))
            offset, factor = np.nan_to_num(scaler.mean_), np.nan_to_num(scaler.scale_, nan=1.0)
        elif block.kind == "categories" and min(block.values.shape):
            factor = TfidfTransformer().fit(sparse.csr_array(block.values)).idf_
        raw = cls(block.kind, block.names, offset, factor, np.zeros(width), 1.0)
        rows = max(len(block), 1)
        mean = sum((part.sum(axis=0) for part in raw.parts(block)), np.zeros(width)) / rows
        spread = np.sqrt(sum(np.square(part - mean).sum() for part in raw.parts(block)) / rows)
        largest = max((np.abs(part).max(initial=0) for part in raw.parts(block)), default=0)
        varies = spread > 1e-9 * largest  # more than what rounding leaves of a constant block
        return cls(block.kind, block.names, offset, factor, mean, float(spread) if varies else 0.0)

    def parts(self, block: Block) -> Iterator[np.ndarray]:
        """Yield the prepared rows (float64) of BLOCK_ROWS users at a time."""
        aligned = self._aligned(block.values, block.names)
        for start in range(0, len(block), BLOCK_ROWS):
            yield self._prepared(aligned[start : start + BLOCK_ROWS])

    def _aligned(self, values: Values, names: np.ndarray) -> Values:
        """Return the columns of the fit: others are dropped, those that are missing now are zero."""
        if np.array_equal(names, self.columns):
            return sparse.csr_array(values) if self.kind == "categories" else values
        place = {name: number for number, name in enumerate(self.columns.tolist())}
        moves = [(now, place[name]) for now, name in enumerate(names.tolist()) if name in place]
        now, then = np.array(moves, dtype=np.int64).reshape(-1, 2).T
        if self.kind == "categories":
            shape = (len(names), len(self.columns))
            return sparse.csr_array(
                sparse.csr_array(values) @ sparse.csr_array((np.ones(len(now)), (now, then)), shape=shape)
            )
        moved = np.zeros((values.shape[0], len(self.columns)), values.dtype)
        moved[:, then] = values[:, now]
        return moved

    def _prepared(self, values: Values) -> np.ndarray:
        if self.kind == "categories":
            weighted = sparse.csr_array(sparse.csr_array(values).sqrt().multiply(self.factor[None, :]))
            values = (normalize(weighted) if min(weighted.shape) else weighted).toarray()
        elif self.kind == "activity":
            scaled = (np.asarray(values, np.float64) - self.offset) / self.factor
            values = np.nan_to_num(scaled, nan=0.0).clip(-OUTLIER_DEVIATIONS, OUTLIER_DEVIATIONS)
        elif self.kind == "directions" and min(values.shape):
            values = normalize(np.asarray(values, np.float64))
        centred = np.asarray(values, np.float64) - self.mean
        return centred / self.scale if self.scale > 0 else np.zeros(centred.shape)
