"""One vector per user out of several kinds of evidence: activity, categories, text, encoders, attributes."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from itertools import zip_longest

import numpy as np

from manyfaces.embeddings.blocks import Block, Preparation
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.store import Artifact

MODEL_VERSION = "fusion-2"


def fuse(blocks: Mapping[str, Block], weights: Mapping[str, float], dims: int) -> Artifact:
    """Learn how to fuse blocks of features of the same users into vectors of `dims` dimensions.

    Each block is prepared after its kind, centred and scaled to a total variance of 1 (so that neither its
    unit nor its width matters), multiplied by its weight, and set beside the others; a principal component
    analysis then keeps the directions of the largest variance. It is exact, from the covariance of the
    columns.

    Args:
        blocks: Blocks of n users by name, rows in the same order of users.
        weights: Weight by block name; a block without weight, or with weight 0, is as if it were not there.
        dims: Dimensions to keep; fewer if users or columns are fewer.

    Returns:
        Array components (k, sum of d_b) and what was learned of each block, for `project`; the share of the
        variance kept and the share of each block in what is kept are in `meta["metrics"]`.

    Raises:
        ValueError: If a weight names an unknown block, is negative or not finite, if none is positive, if the
            blocks differ in their number of rows, or if a used block holds a value that is not finite.
    """
    used = _used_blocks(blocks, weights)
    users = len(blocks[used[0]])
    learned = {name: Preparation.learn(blocks[name]) for name in used}
    bounds = np.cumsum([0, *(len(learned[name].columns) for name in used)])
    covariance = np.zeros((bounds[-1], bounds[-1]))
    for rows in _joint_rows(blocks, learned, weights):
        covariance += rows.T @ rows / max(users, 1)  # the columns are centred
    variances, directions = np.linalg.eigh(covariance)
    components = _fix_signs(directions[:, ::-1][:, : min(dims, users, bounds[-1])].T)
    kept = (components @ covariance * components).sum(axis=0)
    total = kept.sum()
    arrays = {"components": components} | {
        f"{name}.{field.name}": np.asarray(getattr(preparation, field.name))
        for name, preparation in learned.items()
        for field in fields(preparation)
    }
    return Artifact(
        arrays,
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


def project(
    blocks: Mapping[str, Block], artifact: Artifact, known: Collection[str] | None = None
) -> np.ndarray:
    """Return the vectors of any users in the space that `fuse` learned.

    Args:
        blocks: The used blocks by name, rows in the same order of users. Columns are matched by name: one
            that the fit did not know is left out, one that is missing counts as zero.
        artifact: What `fuse` returned.
        known: Blocks that are known of these users, all of them if not given. In the others everybody counts
            as average.

    Returns:
        float32 (n, k), rounded to 6 digits.
    """
    weights = artifact.meta["parameters"]["weights"]
    learned = {}
    for name in sorted(weights):
        values = {field.name: artifact.arrays[f"{name}.{field.name}"] for field in fields(Preparation)}
        learned[name] = Preparation(**values | {"kind": str(values["kind"]), "scale": float(values["scale"])})
    components = artifact.arrays["components"]
    if known is not None:
        weights = {name: weight if name in known else 0.0 for name, weight in weights.items()}
    parts = [rows @ components.T for rows in _joint_rows(blocks, learned, weights)]
    return round_vectors(np.concatenate(parts)) if parts else np.zeros((0, len(components)), np.float32)


def _joint_rows(
    blocks: Mapping[str, Block], learned: Mapping[str, Preparation], weights: Mapping[str, float]
) -> Iterator[np.ndarray]:
    """Yield the weighted columns of all blocks side by side, some thousand rows at a time."""
    parts = [learned[name].parts(blocks[name]) for name in sorted(learned)]
    for rows in zip_longest(*parts):
        yield np.hstack([weights[name] * part for name, part in zip(sorted(learned), rows, strict=True)])


def _used_blocks(blocks: Mapping[str, Block], weights: Mapping[str, float]) -> list[str]:
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
        if not blocks[name].is_finite():
            raise ValueError(f"The block '{name}' holds values that are not finite numbers.")
    return used


def _fix_signs(components: np.ndarray) -> np.ndarray:
    """Return the components with the entry of largest magnitude (the first among equals) positive."""
    if components.size == 0:
        return components
    largest = np.abs(components).round(9).argmax(axis=1)
    return components * np.where(components[np.arange(len(components)), largest] < 0, -1, 1)[:, None]
