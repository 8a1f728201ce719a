"""From examples and candidates to the tables of the ranker."""

import numpy as np
import polars as pl

from manyfaces.progress import say, stage
from manyfaces.recommendations import ranker
from manyfaces.recommendations.ranker import LISTS, Examples
from manyfaces.store import Artifact, ArtifactStore, fingerprint

WEIGHTS_SCHEMA = {
    "list": pl.String,
    "segment_id": pl.String,
    "feature": pl.String,
    "weight": pl.Float64,
    "squared_weight": pl.Float64,
    "taken_examples": pl.Int64,
    "run_id": pl.String,
    "model_version": pl.String,
}
BOOSTED_SCHEMA = {
    "user_number": pl.Int32,
    "item_number": pl.Int32,
    "list": pl.String,
    "logit": pl.Float64,
    "run_id": pl.String,
    "model_version": pl.String,
}
KEYS = ("user_number", "item_number", "list", "segment_id", "is_repeat", "is_taken", "weight")


def read_examples(frame: pl.DataFrame, list_name: str) -> tuple[Examples, list[str]]:
    """Take the examples of one list out of a frame.

    Args:
        frame: columns of training_examples, in any order.
        list_name: for_you, or discover, which has only items that are new to the user.

    Returns:
        The examples by user and item, and the names of the features.
    """
    features = [name for name in frame.columns if name not in KEYS]
    if list_name == "discover":
        frame = frame.filter(~pl.col("is_repeat"))
    frame = frame.sort("user_number", "item_number")
    return Examples(
        features=frame.select(features).to_numpy().astype(np.float32).reshape(len(frame), len(features)),
        taken=frame["is_taken"].to_numpy().astype(bool),
        weights=frame["weight"].to_numpy().astype(np.float64),
        users=frame["user_number"].to_numpy(),
        segments=frame["segment_id"].fill_null("").to_numpy().astype(np.str_),
    ), features


def weights_table(examples: pl.DataFrame | None, store_dir: str, *, seed: int) -> pl.DataFrame:
    """Learn the linear weights of both lists.

    Args:
        examples: training_examples; None where weights are fixed.
        store_dir: folder of the artefact store.
        seed: decides which users are held out.

    Returns:
        Columns of WEIGHTS_SCHEMA, a row per list, segment and feature and one for the intercept; no rows for
        a list of which too few candidates were taken.
    """
    tables = [pl.DataFrame(schema=WEIGHTS_SCHEMA)]
    for list_name in LISTS if examples is not None else ():
        rows, features = read_examples(examples, list_name)
        if rows.taken.sum() < ranker.MIN_TAKEN:
            say(f"{list_name}: {int(rows.taken.sum())} taken candidates are too few to learn from")
            continue

        def compute(rows: Examples = rows, list_name: str = list_name) -> Artifact:
            with stage(f"ranker {list_name}") as progress:
                weights, measured = ranker.fit_linear(rows, seed)
                progress.rows = len(rows.taken)
            return Artifact(
                {
                    "segment": np.array([one.segment for one in weights], dtype=np.str_),
                    "intercept": np.array([one.intercept for one in weights]),
                    "linear": np.array([one.linear for one in weights]),
                    "squared": np.array([one.squared for one in weights]),
                    "takers": np.array([one.takers for one in weights]),
                },
                {
                    "algorithm": "logistic ranker",
                    "parameters": {"list": list_name, "seed": seed, "penalties": list(ranker.PENALTIES)},
                    "data_fingerprint": fingerprint(rows.features, rows.taken, rows.segments),
                    "metrics": measured,
                    "rows": len(rows.taken),
                    "log": [],
                },
            )

        key = fingerprint(ranker.MODEL_VERSION, list_name, seed, *_contents(rows), features)
        artifact = ArtifactStore(store_dir).fit("ranker", key, compute)
        tables.append(_weight_rows(artifact, list_name, features))
    return pl.concat([table.select(pl.col(n).cast(k) for n, k in WEIGHTS_SCHEMA.items()) for table in tables])


def boosted_table(
    examples: pl.DataFrame | None,
    finalists: pl.DataFrame | None,
    store_dir: str,
    *,
    seed: int,
    method: str = "trees",
) -> pl.DataFrame:
    """Score the finalists of both lists by boosted trees, or by the multi-task ranker.

    Args:
        examples: training_examples; None where no trees are wanted.
        finalists: finalist_features, in any order.
        store_dir: folder of the artefact store.
        seed: of the trees.
        method: trees or multi_task.

    Returns:
        Columns of BOOSTED_SCHEMA.
    """
    tables = [pl.DataFrame(schema=BOOSTED_SCHEMA)]
    for list_name in LISTS if examples is not None and finalists is not None else ():
        rows, features = read_examples(examples, list_name)
        if rows.taken.sum() < ranker.MIN_TAKEN:
            continue
        wanted = finalists.filter(list=list_name).sort("user_number", "item_number")
        candidates = wanted.select(features).to_numpy().astype(np.float32, copy=False)

        # Trees do not ask for it.
        segments = np.empty(0, np.str_)
        if method == "multi_task":
            segments = wanted["segment_id"].fill_null("").to_numpy().astype(np.str_)

        def compute(
            rows: Examples = rows,
            candidates: np.ndarray = candidates,
            segments: np.ndarray = segments,
            list_name: str = list_name,
        ) -> Artifact:
            with stage(f"{method} ranker {list_name}") as progress:
                if method == "multi_task":
                    logits, parameters = ranker.multi_task_logits(rows, candidates, segments, seed), {}
                else:
                    logits, parameters = (
                        ranker.boosted_logits(rows, candidates, seed),
                        ranker.BOOSTED_PARAMETERS,
                    )
                progress.rows = len(logits)
            return Artifact(
                {"logit": logits.round(6)},
                {
                    "algorithm": "boosted ranker" if method == "trees" else "multi-task ranker",
                    "parameters": {"list": list_name, "seed": seed, **parameters},
                    "data_fingerprint": fingerprint(rows.features, rows.taken, candidates),
                    "metrics": {"examples": len(rows.taken), "taken": int(rows.taken.sum())},
                    "rows": len(logits),
                    "log": [],
                },
            )

        key = fingerprint(
            ranker.MODEL_VERSION, method, list_name, seed, *_contents(rows), candidates, segments
        )
        artifact = ArtifactStore(store_dir).fit("boosted_ranker", key, compute)
        tables.append(
            wanted.select("user_number", "item_number", "list").with_columns(
                logit=pl.Series(artifact.arrays["logit"]),
                run_id=pl.lit(artifact.run_id),
                model_version=pl.lit(ranker.MODEL_VERSION),
            )
        )
    return pl.concat([table.select(pl.col(n).cast(k) for n, k in BOOSTED_SCHEMA.items()) for table in tables])


def _contents(rows: Examples) -> tuple[np.ndarray, ...]:
    return rows.features, rows.taken, rows.weights, rows.users, rows.segments


def _weight_rows(artifact: Artifact, list_name: str, features: list[str]) -> pl.DataFrame:
    arrays = artifact.arrays
    segments, count = arrays["segment"], len(features)
    frame = pl.DataFrame(
        {
            "segment_id": np.repeat(segments, count + 1),
            "feature": [*features, ranker.INTERCEPT] * len(segments),
            "weight": np.column_stack([arrays["linear"], arrays["intercept"]]).ravel(),
            "squared_weight": np.column_stack([arrays["squared"], np.zeros(len(segments))]).ravel(),
            "taken_examples": np.repeat(arrays["takers"], count + 1),
        }
    )
    return frame.with_columns(
        list=pl.lit(list_name),
        run_id=pl.lit(artifact.run_id),
        model_version=pl.lit(ranker.MODEL_VERSION),
    )
