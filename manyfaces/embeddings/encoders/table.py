"""From feature tables to the table of optional encoders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.registry import ENCODERS, SEQUENCE_KINDS, resolve_encoders
from manyfaces.frames import sparse_matrix, vector_table
from manyfaces.keeping import Plan, keep_or_fit
from manyfaces.progress import stage
from manyfaces.store import ArtifactStore, fingerprint

SCHEMA = {
    "encoder": pl.String,
    "user_key": pl.String,
    "vector": pl.List(pl.Float32),
    "run_id": pl.String,
    "model_version": pl.String,
}
# Users whose sequences are taken apart at once.
SEQUENCE_BLOCK = 100_000


def user_encoding_table(
    tables: Mapping[str, Callable[[], pl.DataFrame]],
    wanted: Sequence[str],
    declared: Mapping[str, Mapping[str, Any]],
    seed: int,
    store_dir: str,
    plan: Plan,
) -> pl.DataFrame:
    """Return a vector for each wanted encoder and user.

    Args:
        tables: By name, how to load a table; only those that are needed are loaded. They are matrix_users
            (user_index, user_key), matrix_items (item_index, item_id), user_item_matrix (user_index,
            item_index, affinity), user_features (user_key and columns that end in _normalised; null counts
            as 0), user_sequences (user_key, item_ids: list of text, the oldest first).
        wanted: Names of encoders.
        declared: See registry.resolve_encoders.
        seed: Seed of the encoders that declare none.
        store_dir: Root of the artefact store.
        plan: Which fitted encoders may be kept.

    Returns:
        encoder, user_key, vector, run_id, model_version; sorted by encoder and user_index.

    Raises:
        ValueError: If a declaration or the data is not possible.
    """
    encoders = resolve_encoders(declared, sorted(set(wanted)), seed)
    frames = [pl.DataFrame(schema=SCHEMA)]
    if not encoders:
        return frames[0]
    users = tables["matrix_users"]().sort("user_index").select("user_key")
    if users.is_empty():
        return frames[0]
    history = read_history(tables, users, any(kind in SEQUENCE_KINDS for _, kind, _ in encoders))
    data = fingerprint(history.item_ids, history.matrix, history.feature_names, history.features)
    store = ArtifactStore(store_dir)
    for name, kind, parameters in encoders:
        with stage(f"user_encodings {name}", len(users)):
            vectors, run_id = _encode(name, kind, parameters, history, data, store, plan)
        table = vector_table(users, vectors, run_id, ENCODERS[kind].version)
        frames.append(table.select(pl.lit(name).alias("encoder"), *table.columns).cast(SCHEMA))
    return pl.concat(frames)


def read_history(
    tables: Mapping[str, Callable[[], pl.DataFrame]], users: pl.DataFrame, with_sequences: bool
) -> UserHistory:
    """Return what the encoders read, a row per user.

    Args:
        tables: See user_encoding_table.
        users: user_key, in the order of the matrix.
        with_sequences: Whether an encoder reads sequences; without, they are empty.
    """
    items = tables["matrix_items"]().sort("item_index").select("item_index", "item_id")
    pairs = tables["user_item_matrix"]().select("user_index", "item_index", "affinity")
    features = tables["user_features"]()
    names = sorted(name for name in features.columns if name.endswith("_normalised"))
    by_user = users.join(features, on="user_key", how="left", maintain_order="left")
    sequence_items, sequence_offsets = np.zeros(0, np.int32), np.zeros(len(users) + 1, np.int64)
    if with_sequences:
        sequence_items, sequence_offsets = _sequences(users, items, tables["user_sequences"]())
    return UserHistory(
        item_ids=np.array(items["item_id"].to_list(), dtype=np.str_),
        matrix=sparse_matrix(pairs, len(users), len(items)),
        feature_names=np.array(names, dtype=np.str_),
        features=by_user.select(pl.col(names).cast(pl.Float32).fill_null(0.0))
        .to_numpy()
        .reshape(len(users), len(names)),
        sequence_items=sequence_items,
        sequence_offsets=sequence_offsets,
    )


def _encode(
    name: str, kind: str, parameters: Any, history: UserHistory, data: str, store: ArtifactStore, plan: Plan
) -> tuple[np.ndarray, str]:
    """Return the vectors (n, d) of one encoder, kept or fitted, and its run id.

    `data` is the fingerprint of the history without its sequences.
    """
    encoder = ENCODERS[kind]
    # With other features a kept encoder could not read the history.
    declaration = fingerprint(encoder.version, asdict(parameters), history.feature_names)
    if kind in SEQUENCE_KINDS:
        data = fingerprint(data, history.sequence_items, history.sequence_offsets)
    artifact = keep_or_fit(
        store, f"encoder_{name}", declaration, data, lambda: encoder.fit(history, parameters), plan
    )
    return encoder.encode(history, artifact), artifact.run_id


def _sequences(
    users: pl.DataFrame, items: pl.DataFrame, user_sequences: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of all users' items one after another, and where each user's begin (n + 1,)."""
    columns, lengths = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    for block in users.with_row_index("row").iter_slices(SEQUENCE_BLOCK):
        taken = (
            block.join(user_sequences.select("user_key", "item_ids"), on="user_key", maintain_order="left")
            .select("row", item_id=pl.col("item_ids"))
            .explode("item_id")
            .join(items, on="item_id", maintain_order="left")
        )
        columns.append(taken["item_index"].cast(pl.Int32).to_numpy())
        first = block["row"][0]
        lengths.append(np.bincount(taken["row"].to_numpy().astype(np.int64) - first, minlength=len(block)))
    return np.concatenate(columns), np.concatenate(lengths).cumsum()
