"""One vector per user out of several kinds of evidence: behaviour, text, autoencoder, factors, attributes."""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler

from manyfaces.embeddings.pooling import round_vectors
from manyfaces.store import Artifact

MODEL_VERSION = "fusion-1"
# Share of the behaviour block's variance that lies in how much, how often and when a user acts; the rest
# lies in what for. On The Complete Journey (8 clusters of the fused vectors) 0.5 explains no more of the
# category mix than 0.2 (.10), but far more of the number of events (.54 to .58 against .35): its segments
# would mostly tell heavy from light users.
ACTIVITY_SHARE = 0.2
OUTLIER_DEVIATIONS = 3.0
BLOCK_ROWS = 8192


def fuse(blocks: Mapping[str, np.ndarray], weights: Mapping[str, float], dims: int) -> Artifact:
    """Fuse blocks of features of the same users into vectors of `dims` dimensions.

    Each block is centred and scaled to a total variance of 1 (so that neither its unit nor its width
    matters), multiplied by its weight, and set beside the others; a principal component analysis then keeps
    the directions of the largest variance. It is exact, from the covariance of the columns.

    Args:
        blocks: Arrays (n, d_b) by name, rows in the same order of users.
        weights: Weight by block name; a block without weight, or with weight 0, is as if it were not there.
        dims: Dimensions to keep; fewer if users or columns are fewer.

    Returns:
        Arrays vectors (n, k; float32, rounded to 6 digits) and components (k, sum of d_b); the share of the
        variance kept and the share of each block in what is kept are in `meta["metrics"]`.

    Raises:
        ValueError: If a weight names an unknown block, is negative or not finite, if none is positive, if the
            blocks differ in their number of rows, or if a used block holds a value that is not finite.
    """
    used = _used_blocks(blocks, weights)
    users = len(blocks[used[0]])
    bounds = np.cumsum([0, *(blocks[name].shape[1] for name in used)])
    joint = np.empty((users, bounds[-1]), np.float32)
    for name, start, end in zip(used, bounds, bounds[1:], strict=False):
        joint[:, start:end] = weights[name] * standardise(blocks[name])
    count = min(dims, *joint.shape)
    covariance = np.zeros((joint.shape[1], joint.shape[1]))
    for rows in _row_blocks(joint):
        covariance += rows.T @ rows / max(users, 1)  # the columns are centred
    variances, directions = np.linalg.eigh(covariance)
    components = _fix_signs(directions[:, ::-1][:, :count].T)
    vectors = np.concatenate([rows @ components.T for rows in _row_blocks(joint)])
    kept = (components @ covariance * components).sum(axis=0)
    total = kept.sum()
    return Artifact(
        {"vectors": round_vectors(vectors), "components": round_vectors(components)},
        {
            "algorithm": "weighted blocks, principal components",
            "parameters": {"weights": {name: weights[name] for name in used}, "dims": dims},
            "rows": users,
            "metrics": {
                "explained_variance": round(float(total / variances.sum()), 6) if total > 0 else 0.0,
                "shares": {
                    name: round(float(kept[start:end].sum() / total), 6) if total > 0 else 0.0
                    for name, start, end in zip(used, bounds, bounds[1:], strict=False)
                },
            },
        },
    )


def _row_blocks(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows as float64 a block at a time (one empty block if there are none)."""
    for start in range(0, max(len(matrix), 1), BLOCK_ROWS):
        yield matrix[start : start + BLOCK_ROWS].astype(np.float64)


def _used_blocks(blocks: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> list[str]:
    """Return the names of the blocks with a positive weight, sorted, after checking them."""
    known = ", ".join(sorted(blocks))
    for name, weight in weights.items():
        if not np.isfinite(weight) or weight < 0:
            raise ValueError(f"The fusion weight of '{name}' is {weight}: it must be a number of at least 0.")
        if weight > 0 and name not in blocks:
            raise ValueError(f"The fusion weights name an unknown block '{name}': known are {known}.")
    used = sorted(name for name in blocks if weights.get(name, 0) > 0)
    if not used:
        raise ValueError(f"All fusion weights are 0: give at least one of {known} a positive weight.")
    if len({len(blocks[name]) for name in used}) > 1:
        raise ValueError(f"The blocks {', '.join(used)} differ in their number of users.")
    for name in used:
        if not np.isfinite(blocks[name]).all():
            raise ValueError(f"The block '{name}' holds values that are not finite numbers.")
    return used


def standardise(block: np.ndarray) -> np.ndarray:
    """Return the block (n, d) centred and scaled to a total variance of 1; a constant block becomes zeros."""
    if len(block) == 0:
        return np.zeros(block.shape)
    centred = block - block.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.square(centred).sum() / len(centred))
    if spread <= 1e-9 * np.abs(block).max(initial=0):  # what rounding leaves of a constant block
        return np.zeros(block.shape)
    return centred / spread


def _fix_signs(components: np.ndarray) -> np.ndarray:
    """Return the components with the entry of largest magnitude (the first among equals) positive."""
    if components.size == 0:
        return components
    largest = np.abs(components).round(9).argmax(axis=1)
    return components * np.where(components[np.arange(len(components)), largest] < 0, -1, 1)[:, None]


def behaviour_block(activity: np.ndarray, category_weights: sparse.csr_array) -> np.ndarray:
    """Return what users do: activity features and the categories they do it with.

    Args:
        activity: Features (n, a) with their tails already tamed (logarithms, shares). Each is brought to
            variance 1 and cut at OUTLIER_DEVIATIONS; what is missing (NaN) counts as average.
        category_weights: Decayed affinity by category (n, c), not negative. Weighted by tf-idf of its
            logarithm, and each user's row scaled to length 1: the mix counts, not the amount.

    Returns:
        float64 (n, a + c) with ACTIVITY_SHARE of its variance in the activity features.
    """
    with np.errstate(invalid="ignore"):  # a column that is missing throughout
        scaled = StandardScaler().fit_transform(activity) if activity.size else activity
    scaled = np.nan_to_num(scaled, nan=0.0).clip(-OUTLIER_DEVIATIONS, OUTLIER_DEVIATIONS)
    mix = category_weights
    if min(mix.shape) and mix.nnz:
        mix = TfidfTransformer().fit_transform(mix.log1p())
    parts = [
        np.sqrt(ACTIVITY_SHARE) * standardise(scaled),
        np.sqrt(1 - ACTIVITY_SHARE) * standardise(mix.toarray()),
    ]
    return np.concatenate(parts, axis=1)


def attributes_block(attributes: pl.DataFrame) -> np.ndarray:
    """Return one column of 0 and 1 per value of each attribute (n, d); an unknown value (null) is all zeros.

    Columns are ordered by attribute and value. The order of the rows is kept.
    """
    columns = [
        (attributes[name] == value).fill_null(False).to_numpy()
        for name in attributes.columns
        for value in attributes[name].drop_nulls().unique().sort()
    ]
    return np.array(columns, np.float64).T if columns else np.zeros((attributes.height, 0))
