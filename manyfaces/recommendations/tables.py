"""From tables to candidates and back: what the Python models of the layer call.

Users and items travel as positions in `matrix_users` and `matrix_items`; keys come back at the end. Lists are
kept in the artefact store, so that a build whose inputs have not changed only loads them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.frames import sparse_matrix, vectors_of
from manyfaces.progress import say, stage
from manyfaces.recommendations import choice, content
from manyfaces.recommendations.top_items import (
    DECIMALS,
    RankedItems,
    ScoreBlocks,
    empty_ranking,
    rank_blocks,
)
from manyfaces.store import Artifact, ArtifactStore, fingerprint

COLLABORATIVE_SCHEMA = {
    "user_key": pl.String,
    "item_id": pl.String,
    "source": pl.String,
    "score": pl.Float64,
    "strength": pl.Float64,
    "is_repeat": pl.Boolean,
    "run_id": pl.String,
    "model_version": pl.String,
}
CONTENT_SCHEMA = {
    "user_key": pl.String,
    "item_id": pl.String,
    "source": pl.String,
    "score": pl.Float64,
    "evidence_item_id": pl.String,
    "run_id": pl.String,
    "model_version": pl.String,
}
FITTED_SCHEMA = {
    "user_key": pl.String,
    "item_id": pl.String,
    "source": pl.String,
    "score": pl.Float64,
    "is_repeat": pl.Boolean,
    "evidence_kind": pl.String,
    "evidence_id": pl.String,
    "evidence_count": pl.Int64,
    "evidence_value": pl.Float64,
    "run_id": pl.String,
    "model_version": pl.String,
}


MAX_INTEREST_USERS = 20_000
"""With more users each has one vector of taste in content candidates: five vectors cost five times that."""


@dataclass(frozen=True)
class History:
    """Who likes what, by position."""

    user_keys: pl.Series
    """(users,) key of each row."""
    item_ids: pl.Series
    """(items,) id of each column, most used first."""
    item_texts: np.ndarray
    """(items,) text of each item, -1 without text."""
    allowed: np.ndarray
    """(items,) bool, items that may be recommended."""
    matrix: sparse.csr_array
    """(users, items) float32, positive affinities."""
    seen: sparse.csr_array
    """(users, items); every stored entry is an item that is not new to the user."""

    @cached_property
    def data_fingerprint(self) -> str:
        """Fingerprint of everything but the keys, which do not change who gets which position."""
        return fingerprint(self.matrix, self.seen, self.allowed, self.item_texts)


def read_history(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    disliked_pairs: pl.DataFrame,
    item_stats: pl.DataFrame,
) -> History:
    """Put the feature tables together.

    Args:
        matrix_users: user_index, user_key.
        matrix_items: item_index, item_id, text_index (null without text).
        user_item_matrix: user_index, item_index, affinity; in any order.
        disliked_pairs: user_key, item_id of pairs with events but without positive affinity; users and items
            outside the matrix are passed over.
        item_stats: item_id, is_active.

    Returns:
        The history in index order.
    """
    users = matrix_users.sort("user_index")
    items = matrix_items.join(item_stats.select("item_id", "is_active"), on="item_id", how="left").sort(
        "item_index"
    )
    shape = (len(users), len(items))
    disliked = disliked_pairs.join(users, on="user_key").join(items, on="item_id")
    pairs = user_item_matrix.select("user_index", "item_index", "affinity").sort("user_index", "item_index")
    matrix = sparse_matrix(pairs, *shape)
    seen_pairs = pl.concat(
        [frame.select(pl.col("user_index", "item_index").cast(pl.Int64)) for frame in (pairs, disliked)]
    )
    return History(
        user_keys=users["user_key"],
        item_ids=items["item_id"],
        item_texts=items["text_index"].fill_null(-1).to_numpy().astype(np.int64),
        allowed=items["is_active"].fill_null(False).to_numpy().astype(bool),
        matrix=matrix,
        seen=sparse_matrix(seen_pairs.with_columns(seen=pl.lit(1.0)), *shape),
    )


@dataclass(frozen=True, kw_only=True)
class FittedSource:
    """A source of candidates that scores all items for all users, and what its rows point to.

    Attributes:
        name: Name of the source, also the first part of its run ids.
        algorithm: What is fitted, in words.
        version: Changed whenever the scores change.
        parameters: What decides the scores besides the data.
        data: Fingerprint of what is read besides the History.
        blocks: Gives the scores; called only if no list is stored for the same parameters and data.
        evidence_kind: `history` or `user`: what evidence_count counts.
        evidence: Gives evidence_count (int) and evidence_value (float, NaN for none) of (users, items); both
            (rows,), users rising.
        segment_ids: (users,) segment of each user, for a source that gives members without a history the
            taste of their segment; None for the others.
        log: The training that stands behind the scores, a dict per epoch.
    """

    name: str
    algorithm: str
    version: str
    parameters: Mapping[str, Any]
    data: str
    blocks: Callable[[], ScoreBlocks]
    evidence_kind: str
    evidence: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    segment_ids: pl.Series | None = None
    log: Sequence[Mapping[str, Any]] = ()


def fitted_table(history: History, source: FittedSource, store_dir: str, *, count: int) -> pl.DataFrame:
    """Give the candidates of a fitted source for all users.

    Args:
        history: who likes what.
        source: gives the scores.
        store_dir: folder of the artefact store.
        count: at most this many new and this many repeated items per user.

    Returns:
        Columns of FITTED_SCHEMA, by user, new before repeated, best first.
    """
    parameters = {**source.parameters, "count": count}
    data_fingerprint = fingerprint(history.data_fingerprint, source.data)

    def compute() -> Artifact:
        ranked: RankedItems = empty_ranking()
        if history.matrix.data.any():
            with stage(f"{source.name} candidates") as progress:
                ranked = rank_blocks(source.blocks(), history.matrix, history.seen, history.allowed, count)
                progress.rows = len(ranked["score"])
        counts, values = source.evidence(ranked["user_index"], ranked["item_index"])
        ranked |= {"evidence_count": counts.astype(np.int64), "evidence_value": values.round(DECIMALS)}
        artifact = _artifact(source.algorithm, parameters, data_fingerprint, ranked)
        artifact.meta["log"] = list(source.log)
        return artifact

    kind, identity = pl.lit(source.evidence_kind), pl.lit(None, pl.String)
    if source.segment_ids is not None:
        without_history = pl.col("evidence_count") == 0
        kind = pl.when(without_history).then(pl.lit("segment")).otherwise(kind)
        own_segment = pl.col("user_index").map_batches(source.segment_ids.gather, pl.String)
        identity = pl.when(without_history).then(own_segment)
    return _table(
        history,
        store_dir,
        source.name,
        fingerprint(source.version, parameters, data_fingerprint),
        compute,
        source.version,
        FITTED_SCHEMA,
        evidence_kind=kind,
        evidence_id=identity,
        evidence_value=pl.col("evidence_value").fill_nan(None),
    )


def collaborative_table(
    history: History,
    store_dir: str,
    *,
    count: int,
    regularisation: float,
    max_items: int,
    method: str,
    memory_mb: int,
    seed: int,
    vae_runs: Callable[[], Sequence[str]],
) -> pl.DataFrame:
    """Give the collaborative candidates of all users.

    Args:
        history: who likes what.
        store_dir: folder of the artefact store.
        count: at most this many new and this many repeated items per user.
        regularisation: of EASE^R, in units of `ease.absolute_regularisation`.
        max_items: edge of the biggest dense matrix.
        method: one of choice.METHODS.
        memory_mb: memory that EASE^R may use.
        seed: of what is random.
        vae_runs: Loads the run ids of the users' latent means; called only for the method `variational`.

    Returns:
        Columns of COLLABORATIVE_SCHEMA, by user, new before repeated, best first.

    Raises:
        ValueError: If there is no such method, or no autoencoder for the one that needs it.
    """
    chosen = choice.choose_method(
        *history.matrix.shape, history.matrix.nnz, asked=method, max_items=max_items, memory_mb=memory_mb
    )
    runs = list(vae_runs()) if chosen.method == "variational" and history.matrix.nnz else []
    if chosen.method == "variational" and history.matrix.nnz and len(runs) != 1:
        raise ValueError("collaborative_method is variational, but user_vae_embeddings is empty: build it.")
    parameters = {"count": count, "regularisation": regularisation, "max_items": max_items, "seed": seed}
    version = choice.VERSIONS[chosen.method]

    def decoded() -> ScoreBlocks:
        from manyfaces.recommendations import variational  # loads torch, which takes seconds

        item_ids = np.array(history.item_ids.to_list(), dtype=np.str_)
        return variational.score_blocks(history.matrix, item_ids, ArtifactStore(store_dir).load(runs[0]))

    def compute() -> Artifact:
        ranked = choice.collaborative_candidates(
            history.matrix, history.seen, history.allowed, choice=chosen, decoded=decoded, **parameters
        )
        described = parameters | {"method": chosen.method, "reason": chosen.reason}
        return _artifact(choice.ALGORITHMS[chosen.method], described, history.data_fingerprint, ranked)

    return _table(
        history,
        store_dir,
        "collaborative",
        fingerprint(version, chosen.method, chosen.reason, runs, parameters, history.data_fingerprint),
        compute,
        version,
        COLLABORATIVE_SCHEMA,
        # Raw scores grow with the length of a history; a blend needs them beside the best one.
        strength=(pl.col("score") / pl.col("score").max().over("user_index", "is_repeat")).round(6),
    )


def content_table(
    history: History,
    users: pl.DataFrame,
    texts: pl.DataFrame,
    interests: pl.DataFrame,
    item_vectors: pl.DataFrame,
    store_dir: str,
    *,
    count: int,
    vectors_from: str,
) -> pl.DataFrame:
    """Give the content candidates of all users of whose taste there is a vector.

    A user with interests has a vector for each, that of the item that stands for it; others have one for all
    they like. With other item vectors than those of texts every item has a text of its own, so to speak.

    Args:
        history: who likes what.
        users: user_key and vector; read for texts only.
        texts: text_index and vector; read for texts only.
        interests: user_key, item_id that stands for the interest, weight above 0; in any order.
        item_vectors: item_id, modality, vector; read for a modality only.
        store_dir: folder of the artefact store.
        count: at most this many items per user.
        vectors_from: `text`, or a modality of `item_vectors`.

    Returns:
        Columns of CONTENT_SCHEMA, by user, best first.

    Raises:
        ValueError: If no item has a vector of the modality.
    """
    if len(history.user_keys) > MAX_INTEREST_USERS:
        say(f"content: one vector for each of {len(history.user_keys):,} users, not one for each interest")
        interests = interests.clear()
    if vectors_from == "text":
        item_texts, text_vectors, user_vectors = _text_space(history, users, texts)
    else:
        item_texts, text_vectors, user_vectors = _modality_space(history, item_vectors, vectors_from)
    owners, shares, vectors = _taste_vectors(history, interests, item_texts, text_vectors, user_vectors)
    parameters = {"count": count, "evidence_items": content.EVIDENCE_ITEMS, "vectors": vectors_from}
    data_fingerprint = fingerprint(
        history.data_fingerprint, item_texts, owners, shares, vectors, text_vectors
    )

    def compute() -> Artifact:
        ranked = content.content_candidates(
            vectors,
            text_vectors,
            item_texts,
            history.matrix,
            history.seen,
            history.allowed,
            count=count,
            owners=owners,
            shares=shares,
        )
        return _artifact(f"{vectors_from} cosine", parameters, data_fingerprint, ranked)

    return _table(
        history,
        store_dir,
        "content",
        fingerprint(content.MODEL_VERSION, parameters, data_fingerprint),
        compute,
        content.MODEL_VERSION,
        CONTENT_SCHEMA,
    )


def _text_space(
    history: History, users: pl.DataFrame, texts: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the text of each item, the vectors of texts and those of users."""
    texts = texts.filter(pl.col("text_index").is_not_null())
    text_count = 1 + max(int(history.item_texts.max(initial=-1)), int(texts["text_index"].max() or 0))
    positions = users.select("user_key", "vector").join(
        pl.DataFrame({"user_key": history.user_keys}).with_row_index("user_index"), on="user_key"
    )
    dims = max(
        (len(vectors[0]) for vectors in (texts["vector"], positions["vector"]) if len(vectors)), default=0
    )
    text_vectors = _placed(texts["text_index"], texts["vector"], (text_count, dims))
    user_vectors = _placed(positions["user_index"], positions["vector"], (len(history.user_keys), dims))
    return history.item_texts, text_vectors, user_vectors


def _modality_space(
    history: History, item_vectors: pl.DataFrame, modality: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the same of another kind of item vectors: each item with a vector is a text of its own."""
    chosen = item_vectors.filter(modality=modality)
    if chosen.is_empty():
        known = item_vectors["modality"].unique().sort().to_list()
        raise ValueError(
            f"content_vectors is '{modality}', but no item has such a vector; the modalities of "
            f"input_item_vectors are: {', '.join(known) or 'none'}."
        )
    items = pl.DataFrame({"item_id": history.item_ids}).with_row_index("item_index")
    chosen = chosen.join(items, on="item_id").sort("item_index")
    item_texts = np.full(len(items), -1, np.int64)
    item_texts[chosen["item_index"].to_numpy()] = np.arange(len(chosen))
    vectors = content.unit_rows(vectors_of(chosen["vector"]))
    own = history.matrix[:, chosen["item_index"].to_numpy().astype(np.int64)]
    return item_texts, vectors, pool_vectors(own, vectors)


def _taste_vectors(
    history: History,
    interests: pl.DataFrame,
    item_texts: np.ndarray,
    text_vectors: np.ndarray,
    user_vectors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give user, share and vector of each interest, and of each user without one that has a vector."""
    users = pl.DataFrame({"user_key": history.user_keys}).with_row_index("user_index")
    items = pl.DataFrame({"item_id": history.item_ids, "text_index": item_texts}).filter(
        pl.col("text_index") >= 0
    )
    found = (
        interests.join(users, on="user_key")
        .join(items, on="item_id")
        .select("user_index", "text_index", "weight")
        .sort("user_index", "weight", "text_index", descending=[False, True, False])
    )
    owners = found["user_index"].to_numpy().astype(np.int64)
    rest = np.setdiff1d(np.arange(len(user_vectors)), owners)
    owners = np.concatenate([owners, rest])
    shares = np.concatenate([found["weight"].to_numpy(), np.ones(len(rest))])
    vectors = np.vstack([text_vectors[found["text_index"].to_numpy()], user_vectors[rest]])
    order = np.argsort(owners, kind="stable")
    return owners[order], shares[order], vectors[order]


def _placed(positions: pl.Series, vectors: pl.Series, shape: tuple[int, int]) -> np.ndarray:
    """Place vectors at their positions in a (rows, dims) float32 matrix of zeros."""
    placed = np.zeros(shape, np.float32)
    if len(vectors):
        placed[positions.to_numpy()] = vectors_of(vectors)
    return placed


def _artifact(algorithm: str, parameters: dict, data_fingerprint: str, ranked: dict) -> Artifact:
    users, counts = np.unique(ranked["user_index"], return_counts=True)
    metrics = {
        "users_with_candidates": len(users),
        "candidates_per_user": round(float(counts.mean()), 3) if len(users) else 0,
        "items_in_lists": len(np.unique(ranked["item_index"])),
    }
    return Artifact(
        ranked,
        {
            "algorithm": algorithm,
            "parameters": parameters,
            "data_fingerprint": data_fingerprint,
            "metrics": metrics,
            "rows": len(ranked["score"]),
            "log": [],
        },
    )


def _table(
    history, store_dir, source, key, compute, model_version, schema, **columns: pl.Expr
) -> pl.DataFrame:
    """Load or compute the lists of a source, put the keys back and add derived columns."""
    artifact = ArtifactStore(store_dir).fit(source, key, compute)
    table = pl.DataFrame(artifact.arrays).with_columns(
        user_key=history.user_keys.gather(artifact.arrays["user_index"]),
        item_id=history.item_ids.gather(artifact.arrays["item_index"]),
        source=pl.lit(source),
        run_id=pl.lit(artifact.run_id),
        model_version=pl.lit(model_version),
        **columns,
    )
    if "evidence_item_index" in table.columns:
        evidence = pl.col("evidence_item_index")
        evidence = pl.when(evidence >= 0).then(evidence)
        table = table.with_columns(evidence_item_id=table.select(evidence).to_series())
        table = table.with_columns(evidence_item_id=history.item_ids.gather(table["evidence_item_id"]))
    return table.select(pl.col(name).cast(kind) for name, kind in schema.items())
