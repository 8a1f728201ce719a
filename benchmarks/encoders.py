"""Measures what each encoder of users makes of planted segments, beside k-means on what it reads.

    python benchmarks/encoders.py              # the table of docs/encoders.md
    python benchmarks/encoders.py --users 2000 --kinds mult_vae factors

Two data sets whose truth is known, six segments each, and one user in twenty an outlier without a segment:

- simulated: `manyfaces simulate`, built by dbt as far as the features. The segments are tastes for categories
  and favourite items; the activity features say nothing about them.
- planted: drawn here. The segments show in the items and in half of the features, all of which also grow
  with how much a user does, whatever the segment.

Each encoder is fitted with its defaults on all users. k-means with six centres then divides its vectors, and
the adjusted Rand index (1 the same, 0 chance) is taken over the users who have a planted segment.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from manyfaces.embeddings.encoders.base import Encoder, UserHistory
from manyfaces.embeddings.encoders.registry import ENCODERS
from manyfaces.embeddings.encoders.table import read_history
from manyfaces.pseudonyms import user_key
from manyfaces.simulate import Parameters, simulate

ROOT = Path(__file__).resolve().parents[1]
BENCH_KEY = "manyfaces-bench-key-for-simulated-users-only"
SEGMENTS = 6
OUTLIER_SHARE = 0.05
EVENTS_PER_USER = 30
SEED = 7
# Kinds that are also measured with parameters other than the defaults.
VARIANTS = {
    "adversarial": [{"likelihood": "gaussian"}],
    "autoencoder": [{"likelihood": "gaussian"}],
    "dense_vae": [{"likelihood": "bernoulli"}],
    "factors": [{"unit_length": True}],
}
TABLES = {
    "matrix_users": "user_index, user_key",
    "matrix_items": "item_index, item_id",
    "user_item_matrix": "user_index, item_index, affinity",
    "user_features": "*",
    "user_sequences": "user_key, item_ids",
}


def simulated(folder: Path, users: int) -> tuple[UserHistory, np.ndarray]:
    """Simulate a shop, scatter the outliers' events over all items, build the features; return the truth too.

    The segment of a user is 1 to 6, or 0 for outliers, bots and users who change their segment half-way.
    """
    files = folder / "files"
    simulate(
        files,
        Parameters(events=users * EVENTS_PER_USER, users=users, items=400, segments=SEGMENTS, seed=SEED),
    )
    truth = pl.read_parquet(files / "truth" / "users.parquet").sort("user_id")
    outlying = pl.Series(np.random.default_rng(SEED).random(len(truth)) < OUTLIER_SHARE)
    outliers = truth.filter(outlying)["user_id"]
    _scatter(files, outliers)
    _build_features(folder, files)
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        tables = {
            name: connection.sql(f"select {columns} from features.{name}").pl()
            for name, columns in TABLES.items()
        }
    keys = tables["matrix_users"].sort("user_index").select("user_key")
    history = read_history({name: lambda table=table: table for name, table in tables.items()}, keys, True)
    known = truth.select(
        user_key=pl.Series([user_key(user_id, BENCH_KEY) for user_id in truth["user_id"]]),
        segment=pl.when(pl.lit(outlying) | pl.col("is_bot") | pl.col("drifted_at").is_not_null())
        .then(0)
        .otherwise("segment"),
    )
    return history, keys.join(known, on="user_key", how="left", maintain_order="left")["segment"].to_numpy()


def planted(users: int) -> tuple[UserHistory, np.ndarray]:
    """Draw users with six segments that show in items and features; 0 marks outliers. Order says nothing."""
    random = np.random.default_rng(SEED)
    items, features = 300, 24
    segment = np.where(random.random(users) < OUTLIER_SHARE, 0, random.integers(1, SEGMENTS + 1, users))
    fits = segment[:, None] == np.arange(items) % SEGMENTS + 1
    share = np.where(fits, 0.14, 0.03) * random.uniform(0.3, 1.7, items)
    share = share * random.choice([0.5, 1.0, 2.0], users)[:, None]
    matrix = sparse.csr_array((random.random((users, items)) < share).astype(np.float32))
    means = random.normal(0, 0.8, (SEGMENTS + 1, features)) * (np.arange(features) % 2 == 0)
    activity = random.normal(0, 1.5, (users, 1)) @ random.normal(0, 1, (1, features))
    values = means[segment] + activity + random.normal(0, 0.7, (users, features))
    values[segment == 0] += random.normal(0, 3, (int((segment == 0).sum()), features))
    owners = np.repeat(np.arange(users), np.diff(matrix.indptr))
    in_time = np.lexsort((random.random(matrix.nnz), owners))
    return UserHistory(
        item_ids=np.array([f"item-{number:03}" for number in range(items)]),
        matrix=matrix,
        feature_names=np.array([f"feature_{number:02}_normalised" for number in range(features)]),
        features=((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32),
        sequence_items=matrix.indices[in_time].astype(np.int32),
        sequence_offsets=matrix.indptr.astype(np.int64),
    ), segment


def agreement(vectors: np.ndarray | sparse.csr_array, segment: np.ndarray) -> float:
    """Return the adjusted Rand index of k-means on all vectors (n, d) with the truth (n,), where known."""
    found = KMeans(SEGMENTS, n_init=10, random_state=SEED).fit_predict(vectors)
    return adjusted_rand_score(segment[segment > 0], found[segment > 0])


def rows_of(history: UserHistory, kinds: list[str]) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield a name and how to make the vectors for what is raw and for each kind of encoder."""
    yield "raw features", lambda: history.features
    yield "raw matrix", lambda: history.matrix
    yield "raw matrix, rows of length 1", lambda: normalize(history.matrix)
    for kind in kinds:
        encoder = ENCODERS[kind]
        yield kind, lambda encoder=encoder: _vectors(encoder, history)
        for parameters in VARIANTS.get(kind, []):
            told = ", ".join(f"{name} {value}" for name, value in parameters.items())
            yield (
                f"{kind}, {told}",
                lambda encoder=encoder, given=parameters: _vectors(encoder, history, **given),
            )


def _vectors(encoder: Encoder, history: UserHistory, **parameters: Any) -> np.ndarray:
    return encoder.encode(history, encoder.fit(history, encoder.Parameters(**parameters)))


def measure(history: UserHistory, segment: np.ndarray, kinds: list[str]) -> dict[str, tuple[float, float]]:
    """Return by row the adjusted Rand index, and the seconds of fitting and encoding."""
    measured = {}
    for name, vectors_of in rows_of(history, kinds):
        started = time.perf_counter()
        vectors = vectors_of()
        seconds = time.perf_counter() - started
        measured[name] = agreement(vectors, segment), seconds
        print(f"  {name}: {measured[name][0]:.2f}, {seconds:.1f} s", file=sys.stderr, flush=True)
    return measured


def report(results: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| k-means on | " + " | ".join(f"{name}, ARI | seconds" for name in results) + " |",
        "| --- |" + " ---: | ---: |" * len(results),
    ]
    for row in next(iter(results.values())):
        cells = [
            f"{ari:.2f} | {seconds:.1f}" for ari, seconds in (result[row] for result in results.values())
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _scatter(files: Path, outliers: pl.Series) -> None:
    """Give each event of the outliers an item drawn from all items."""
    events = pl.read_parquet(files / "events.parquet")
    items = pl.read_parquet(files / "items.parquet")["item_id"].to_numpy()
    drawn = items[np.random.default_rng(SEED + 1).integers(0, len(items), len(events))]
    is_outlier = pl.col("user_id").is_in(outliers.implode()) & pl.col("item_id").is_not_null()
    scattered = events.with_columns(
        item_id=pl.when(is_outlier).then(pl.Series(drawn, dtype=pl.String)).otherwise("item_id")
    )
    scattered.write_parquet(files / "events.parquet")


def _build_features(folder: Path, files: Path) -> None:
    """Build the tables that the encoders read into a database in the folder."""
    environment = os.environ | {
        "MANYFACES_DATABASE": str(folder / "warehouse.duckdb"),
        "MANYFACES_PSEUDONYM_KEY": BENCH_KEY,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *("run", "--quiet", "--select", *(f"+{name}" for name in TABLES)),
        *("--vars", f"{{input: files, files_dir: {files}}}"),
    ]
    subprocess.run([*command[:1], "seed", "--quiet", *command[-2:]], cwd=ROOT, env=environment, check=True)
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=10_000, help="users in each data set (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(ENCODERS), default=sorted(ENCODERS))
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory(prefix="manyfaces-encoders-") as folder:
        results["simulated"] = measure(*simulated(Path(folder), options.users), options.kinds)
    results["planted"] = measure(*planted(options.users), options.kinds)
    print(report(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
