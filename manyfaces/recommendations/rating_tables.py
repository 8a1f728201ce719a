"""From the table of ratings to predicted ratings and their errors: what the Python models call.

The model is fitted once, kept in the artefact store, and read by both tables. Without ratings both are empty.
"""

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import polars as pl

from manyfaces.frames import sparse_matrix
from manyfaces.progress import stage
from manyfaces.recommendations import rating_prediction
from manyfaces.recommendations.rating_prediction import RatingModel, RatingParameters
from manyfaces.store import Artifact, ArtifactStore, fingerprint

PREDICTION_SCHEMA = {
    "user_key": pl.String,
    "item_id": pl.String,
    "predicted_rating": pl.Float64,
    "user_ratings": pl.Int64,
    "item_ratings": pl.Int64,
    "run_id": pl.String,
    "model_version": pl.String,
}
ERROR_SCHEMA = {
    "model": pl.String,
    "training_ratings": pl.Int64,
    "held_out_ratings": pl.Int64,
    "held_out_since": pl.Datetime("us"),
    "mean_absolute_error": pl.Float64,
    "root_mean_squared_error": pl.Float64,
    "run_id": pl.String,
    "model_version": pl.String,
}
HELD_OUT_SHARE = 0.1
"""Share of the ratings, the newest of all, on which errors are measured."""
BLOCK_PAIRS = 1_000_000


def prediction_table(
    ratings: pl.DataFrame,
    candidates: Callable[[], pl.DataFrame],
    store_dir: str,
    *,
    scale: tuple[float, float],
    seed: int,
) -> pl.DataFrame:
    """Predict the ratings of candidates.

    Args:
        ratings: user_key, item_id, rating within the scale, rated_at; a pair at most once, in any order.
        candidates: Loads user_key, item_id; called only if there are ratings. Users without a rating are
            passed over.
        store_dir: folder of the artefact store.
        scale: lowest and highest rating.
        seed: of the first item factors.

    Returns:
        Columns of PREDICTION_SCHEMA, by user and item.
    """
    if ratings.is_empty():
        return pl.DataFrame(schema=PREDICTION_SCHEMA)
    artifact = _fitted(ratings, store_dir, scale, seed)
    arrays = artifact.arrays
    # What nobody has rated is an average item, the last one.
    item_vectors = np.vstack([arrays["items"], np.zeros_like(arrays["items"][:1])])
    model = RatingModel(float(arrays["mean"][0]), arrays["users"], item_vectors, scale)
    users, items = (_known(ratings, column) for column in ("user_key", "item_id"))
    pairs = (
        candidates()
        .select("user_key", "item_id")
        .join(users, on="user_key")
        .join(items, on="item_id", how="left")
        .sort("user_key", "item_id")
    )
    user_index = pairs["user_key_index"].to_numpy()
    item_index = pairs["item_id_index"].fill_null(len(items)).to_numpy()
    with stage("predicted_ratings", len(pairs)):
        predicted = [
            model.predict(user_index[start : start + BLOCK_PAIRS], item_index[start : start + BLOCK_PAIRS])
            for start in range(0, len(pairs), BLOCK_PAIRS)
        ]
    return pairs.select(
        "user_key",
        "item_id",
        predicted_rating=pl.Series(np.concatenate([np.empty(0), *predicted])),
        user_ratings=pl.col("user_key_ratings").cast(pl.Int64),
        item_ratings=pl.col("item_id_ratings").fill_null(0).cast(pl.Int64),
        run_id=pl.lit(artifact.run_id),
        model_version=pl.lit(rating_prediction.MODEL_VERSION),
    )


def error_table(
    ratings: pl.DataFrame, store_dir: str, *, scale: tuple[float, float], seed: int
) -> pl.DataFrame:
    """Say how far predictions are off on the newest ratings, with factors and with biases alone.

    Args:
        ratings: See prediction_table, also for the others.
        store_dir: folder of the artefact store.
        scale: lowest and highest rating.
        seed: of the first item factors.

    Returns:
        Columns of ERROR_SCHEMA: the rows factors and biases, or none where nothing can be held out.
    """
    if ratings.is_empty():
        return pl.DataFrame(schema=ERROR_SCHEMA)
    artifact = _fitted(ratings, store_dir, scale, seed)
    metrics = artifact.meta["metrics"]
    if not metrics:
        return pl.DataFrame(schema=ERROR_SCHEMA)
    count = metrics["ratings"]
    rows = [
        {
            "model": model,
            "training_ratings": len(ratings) - count,
            "held_out_ratings": count,
            "held_out_since": ratings["rated_at"].sort()[-count],
            "mean_absolute_error": metrics[f"{prefix}mean_absolute_error"],
            "root_mean_squared_error": metrics[f"{prefix}root_mean_squared_error"],
            "run_id": artifact.run_id,
            "model_version": rating_prediction.MODEL_VERSION,
        }
        for model, prefix in (("factors", ""), ("biases", "bias_"))
    ]
    return pl.DataFrame(rows, schema=ERROR_SCHEMA)


def _known(ratings: pl.DataFrame, column: str) -> pl.DataFrame:
    """Give the users or items with ratings, their position in the order of keys and how many they have."""
    return (
        ratings.group_by(column)
        .agg(pl.len().alias(f"{column}_ratings"))
        .sort(column)
        .with_row_index(f"{column}_index")
        .with_columns(pl.col(f"{column}_index").cast(pl.Int64))
    )


def _fitted(ratings: pl.DataFrame, store_dir: str, scale: tuple[float, float], seed: int) -> Artifact:
    """Load or fit the model of all ratings, with the errors of one that lacks the newest."""
    users, items = (_known(ratings, column) for column in ("user_key", "item_id"))
    entries = (
        ratings.sort("rated_at", "user_key", "item_id")
        .with_row_index("place")
        .join(users, on="user_key")
        .join(items, on="item_id")
        .sort("user_key_index", "item_id_index")
    )
    cells = entries.select("user_key_index", "item_id_index", "rating")
    matrix = sparse_matrix(cells, len(users), len(items))
    held_out = entries["place"].to_numpy() >= len(entries) - int(HELD_OUT_SHARE * len(entries))
    parameters = RatingParameters(seed=seed)
    # Not of the matrix: a rating of 0 is a rating.
    data = fingerprint(cells, held_out)

    def compute() -> Artifact:
        with stage("ratings", len(entries)):
            model = rating_prediction.fit(matrix, parameters, scale)
            errors = rating_prediction.held_out_errors(matrix, held_out, parameters, scale)
        return Artifact(
            {"mean": np.array([model.mean]), "users": model.users, "items": model.items},
            {
                "algorithm": "biases and factors of ratings",
                "parameters": asdict(parameters) | {"scale": scale, "held_out_share": HELD_OUT_SHARE},
                "data_fingerprint": data,
                "metrics": errors,
                "rows": len(entries),
                "log": [],
            },
        )

    key = fingerprint(rating_prediction.MODEL_VERSION, asdict(parameters), list(scale), HELD_OUT_SHARE, data)
    return ArtifactStore(store_dir).fit("ratings", key, compute)
