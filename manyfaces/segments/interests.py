"""Several interests of a user, each shown by an item of the user's own.

PinnerSage (Pal et al. 2020, arXiv:2007.03634, section 4): the items of a user are clustered by Ward's method
on their vectors, since one mean over unlike things is near to none of them; an interest weighs what its items
weigh, and its medoid stands for it.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import polars as pl
from scipy.cluster.hierarchy import fcluster, ward

from manyfaces.frames import vectors_of
from manyfaces.progress import Ticker, stage
from manyfaces.recommendations.content import common_direction, unit_rows, without_direction
from manyfaces.store import Artifact, ArtifactStore, fingerprint

MODEL_VERSION = "interests-1"

# Groups nearer than this by Ward's distance are one interest: two texts at a cosine of 0.5 are just so near.
MERGE_DISTANCE = 1.0

INTEREST_SCHEMA = {
    "user_number": pl.Int32,
    "horizon": pl.String,
    "interest_rank": pl.Int32,
    "item_number": pl.Int32,
    "weight": pl.Float64,
    "items": pl.Int32,
    "run_id": pl.String,
    "model_version": pl.String,
}
_KEYS = ("user_number", "horizon")


def interest_table(
    user_texts: pl.DataFrame, texts: pl.DataFrame, max_interests: int, store: ArtifactStore
) -> pl.DataFrame:
    """Find the interests of all users, once for the same data.

    Args:
        user_texts: user_number, horizon, text_index, item_number (the user's strongest item with the text),
            items (how many have it) and weight (above 0), in any order.
        texts: text_index, vector (lists of equal length); every text of `user_texts` is there.
        max_interests: At most so many interests for each user and horizon.
        store: Where the result is kept.

    Returns:
        One row per user, horizon and interest with the columns of INTEREST_SCHEMA, heaviest interest first.

    Raises:
        ValueError: If a text of a user has no vector.
    """
    user_texts = user_texts.sort(*_KEYS, "text_index")
    texts = texts.sort("text_index")
    places = texts.with_row_index("place").select("text_index", "place")
    user_texts = user_texts.join(places, on="text_index", how="left", maintain_order="left")
    if missing := user_texts["place"].null_count():
        raise ValueError(
            f"{missing} texts of users have no vector: the tables are of different builds. "
            "Build all of them: dbt build."
        )
    vectors = vectors_of(texts["vector"])
    parameters = {"max_interests": max_interests, "merge_distance": MERGE_DISTANCE}
    data = fingerprint(user_texts, vectors)

    def compute() -> Artifact:
        shared = common_direction(unit_rows(vectors)) if len(vectors) else np.zeros(0)
        with stage("interest_medoids", len(user_texts)):
            arrays = _all_interests(user_texts, without_direction(vectors, shared), max_interests)
        meta = {
            "algorithm": "Ward clusters of item texts, medoids",
            "model_version": MODEL_VERSION,
            "parameters": parameters,
            "data_fingerprint": data,
            "metrics": {"interests": len(arrays["row"])},
            "rows": len(user_texts),
            "log": [],
        }
        return Artifact(arrays, meta)

    artifact = store.fit("interest_medoids", fingerprint(MODEL_VERSION, parameters, data), compute)
    found = artifact.arrays
    return (
        user_texts[found["row"]]
        .select(
            *_KEYS,
            "item_number",
            interest_rank=pl.Series(found["rank"]),
            weight=pl.Series(found["weight"]),
            items=pl.Series(found["items"]),
            run_id=pl.lit(artifact.run_id),
            model_version=pl.lit(artifact.meta["model_version"]),
        )
        .select(pl.col(name).cast(kind) for name, kind in INTEREST_SCHEMA.items())
    )


def interests(vectors: np.ndarray, weights: np.ndarray, max_interests: int) -> list[tuple[int, np.ndarray]]:
    """Group the texts of one user into interests.

    Args:
        vectors: (texts, dims) of length 1, or 0 for a text of which nothing is known.
        weights: (texts,) above 0.
        max_interests: At most so many groups.

    Returns:
        Of each group its medoid (the row nearest to the weighted centre; of equals the heaviest, then the
        first) and all of its rows, the heaviest group first, of equals the one with the first row.
    """
    if len(vectors) < 2:
        return [(row, np.array([row])) for row in range(len(vectors))]
    # Squared distances of vectors out of their products; rounded, so that equal builds cut equal trees.
    products = (vectors @ vectors.T).round(6)
    squares = np.diag(products)
    upper = np.triu_indices(len(vectors), 1)
    distances = np.sqrt(np.maximum(squares[upper[0]] + squares[upper[1]] - 2 * products[upper], 0))
    tree = ward(distances)
    groups = min(1 + np.count_nonzero(tree[:, 2] > MERGE_DISTANCE), max_interests)
    labels = fcluster(tree, groups, "maxclust")
    found = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        centre = weights[rows] @ vectors[rows]
        # Of vectors of one length the nearest to the centre has the largest product with it.
        nearness = (vectors[rows] @ centre / weights[rows].sum() - squares[rows] / 2).round(6)
        medoid = rows[np.lexsort((rows, -weights[rows], -nearness))[0]]
        found.append((int(medoid), rows))
    return sorted(found, key=lambda group: (-round(float(weights[group[1]].sum()), 6), int(group[1][0])))


def _shares(weights: np.ndarray) -> list[float]:
    """Return falling weights as falling shares of 6 digits that add up to 1; the first are rounded up."""
    millionths = np.floor(1e6 * weights / weights.sum() + 1e-3).astype(np.int64)
    millionths[: 1_000_000 - millionths.sum()] += 1
    return (millionths / 1e6).tolist()


def _all_interests(
    user_texts: pl.DataFrame, vectors: np.ndarray, max_interests: int
) -> Mapping[str, np.ndarray]:
    """Return row of the medoid in `user_texts`, rank, weight and items of every interest."""
    keys = user_texts.select(pl.struct(_KEYS).rle_id().cast(pl.Int64)).to_series().to_numpy()
    bounds = np.flatnonzero(np.diff(keys, prepend=-1, append=-1)).tolist()
    places = user_texts["place"].to_numpy()
    weights = user_texts["weight"].cast(pl.Float64).to_numpy()
    items = user_texts["items"].to_numpy()
    found: list[tuple[int, int, float, int]] = []
    ticker = Ticker("interest_medoids", len(keys))
    for start, end in pairwise(bounds):
        own = weights[start:end]
        groups = interests(vectors[places[start:end]].astype(np.float64), own, max_interests)
        shares = _shares(np.array([own[rows].sum() for _, rows in groups]))
        found += [
            (start + medoid, rank, share, int(items[start + rows].sum()))
            for rank, ((medoid, rows), share) in enumerate(zip(groups, shares, strict=True), start=1)
        ]
        ticker.update(end)
    kinds = {"row": np.int64, "rank": np.int32, "weight": np.float64, "items": np.int32}
    columns = zip(*found, strict=True) if found else [()] * len(kinds)
    return {
        name: np.array(values, dtype=kind)
        for (name, kind), values in zip(kinds.items(), columns, strict=True)
    }
