"""The fitted sources of candidates that var sources can name, each made from what its model reads.

A source says how it scores and what its rows point to; `tables.fitted_table` does the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from manyfaces.embeddings.encoders import table as encoders
from manyfaces.embeddings.encoders.registry import resolve_encoders
from manyfaces.keeping import Plan
from manyfaces.recommendations import alternating, graph_filter, user_neighbours
from manyfaces.recommendations.tables import FittedSource, History
from manyfaces.store import Artifact, ArtifactStore, fingerprint


def als_source(history: History, assignments: pl.DataFrame | None, seed: int) -> FittedSource:
    """Score by implicit matrix factorisation (alternating), with a vector for each segment if asked.

    Args:
        history: who likes what.
        assignments: user_key, segment_id of the segmentation that gives the groups; None for no groups.
        seed: of the first item vectors.
    """
    parameters = alternating.AlternatingParameters(seed=seed)
    groups, segment_ids = (None, None) if assignments is None else segments_of(history, assignments)
    return FittedSource(
        name="als",
        algorithm="implicit ALS" if groups is None else "implicit ALS with a vector for each segment",
        version=alternating.MODEL_VERSION,
        parameters=asdict(parameters),
        data=fingerprint(groups),
        blocks=lambda: alternating.score_blocks(alternating.fit(history.matrix, parameters, groups)),
        evidence_kind="history",
        evidence=_own_items(np.diff(history.matrix.indptr)),
        segment_ids=segment_ids,
    )


def graph_filter_source(history: History, seed: int) -> FittedSource:
    """Score by GF-CF (graph_filter).

    Args:
        history: who likes what.
        seed: of the search for singular vectors.
    """
    return FittedSource(
        name="graph_filter",
        algorithm="GF-CF",
        version=graph_filter.MODEL_VERSION,
        parameters={
            "dims": graph_filter.DIMS,
            "low_pass_share": graph_filter.LOW_PASS_SHARE,
            "item_links": graph_filter.ITEM_LINKS,
            "seed": seed,
        },
        data="",
        blocks=lambda: graph_filter.score_blocks(history.matrix, seed=seed),
        evidence_kind="history",
        evidence=_own_items(np.diff(history.matrix.indptr)),
    )


def variational_source(history: History, runs: Sequence[str], store_dir: str) -> FittedSource:
    """Score by the decoder of the autoencoder behind user_vae_embeddings (variational).

    Args:
        history: who likes what.
        runs: run ids of user_vae_embeddings: one, or none if it has no rows.
        store_dir: folder of the artefact store.

    Raises:
        ValueError: If there are histories but no autoencoder of them.
    """
    from manyfaces.recommendations import variational  # loads torch, which takes seconds

    if len(runs) != 1 and history.matrix.nnz:
        raise ValueError("sources names variational, but user_vae_embeddings is empty: build it.")

    item_ids = np.array(history.item_ids.to_list(), dtype=np.str_)

    @cache
    def artifact() -> Artifact:
        return ArtifactStore(store_dir).load(runs[0])

    def evidence(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = np.isin(item_ids, artifact().arrays["item_ids"]) if len(users) else np.zeros(0, np.int64)
        return _own_items(np.diff(history.matrix[:, known].indptr))(users, items)

    return FittedSource(
        name="variational",
        algorithm="Mult-VAE",
        version=variational.MODEL_VERSION,
        parameters={"autoencoder": list(runs)},
        # Items of the fit are found by their id.
        data=fingerprint(history.item_ids),
        blocks=lambda: variational.score_blocks(history.matrix, item_ids, artifact()),
        evidence_kind="history",
        evidence=evidence,
    )


def next_item_source(
    history: History,
    tables: Mapping[str, Callable[[], pl.DataFrame]],
    declared: Mapping[str, Mapping[str, Any]],
    store_dir: str,
    plan: Plan,
    seed: int,
) -> FittedSource:
    """Score by what a sequence encoder expects to come next (next_item).

    The encoder is the declared one, the first by name of several, or else one with the defaults. Where
    a segmentation uses it, it is the artefact behind user_encodings; otherwise it is fitted here.

    Args:
        history: who likes what.
        tables: See encoders.table.user_encoding_table.
        declared: See registry.resolve_encoders.
        store_dir: folder of the artefact store.
        plan: whether an earlier encoder goes on serving.
        seed: of an encoder that declares none.
    """
    from manyfaces.recommendations import next_item  # loads torch, which takes seconds

    names = sorted(name for name, entry in declared.items() if entry.get("kind", name) == "sequence")
    ((name, kind, parameters),) = resolve_encoders(declared, names[:1] or ["sequence"], seed)
    users = pl.DataFrame({"user_key": history.user_keys})
    sequences = encoders.read_history(tables, users, with_sequences=True)
    if len(users):
        store = ArtifactStore(store_dir)
        artifact = encoders.fit_encoder(f"encoder_{name}", kind, parameters, sequences, store, plan)
    else:
        artifact = Artifact({}, {"run_id": "", "log": []})
    return FittedSource(
        name="next_item",
        algorithm=f"next item of the encoder {name}",
        version=next_item.MODEL_VERSION,
        parameters={"encoder": name, "encoder_run": artifact.run_id},
        data=fingerprint(sequences.item_ids, sequences.sequence_items, sequences.sequence_offsets),
        blocks=lambda: next_item.score_blocks(sequences, artifact),
        evidence_kind="history",
        evidence=_own_items(np.diff(sequences.sequence_offsets)),
        log=artifact.meta["log"],
    )


def user_neighbour_source(history: History, assignments: pl.DataFrame, count: int) -> FittedSource:
    """Score by what the most similar users of the same segment like (user_neighbours).

    Users without a segment have neighbours among each other.

    Args:
        history: who likes what.
        assignments: user_key, segment_id of the segmentation in which neighbours are sought.
        count: neighbours of a user, at most.
    """
    segments, _ = segments_of(history, assignments)

    @cache
    def neighbours() -> sparse.csr_array:
        return user_neighbours.nearest_neighbours(history.matrix, count, segments)

    def evidence(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(users):
            return np.empty(0, np.int64), np.empty(0)
        having = user_neighbours.neighbours_with_item(neighbours(), history.matrix, users, items)
        return having, having / np.diff(neighbours().indptr)[users]

    return FittedSource(
        name="user_neighbour",
        algorithm="nearest users of the segment",
        version=user_neighbours.MODEL_VERSION,
        parameters={"neighbours": count, "pool": user_neighbours.POOL},
        data=fingerprint(segments),
        blocks=lambda: user_neighbours.score_blocks(history.matrix, neighbours()),
        evidence_kind="user",
        evidence=evidence,
    )


def segments_of(history: History, assignments: pl.DataFrame) -> tuple[np.ndarray, pl.Series]:
    """Give the number, from 0 in the order of ids and -1 without, and the id of each user's segment.

    Args:
        history: whose users.
        assignments: user_key, segment_id; a user at most once.
    """
    users = pl.DataFrame({"user_key": history.user_keys})
    ids = users.join(assignments, on="user_key", how="left", maintain_order="left")["segment_id"]
    numbers = (ids.rank("dense") - 1).fill_null(-1).cast(pl.Int64)
    return numbers.to_numpy(), ids.cast(pl.String)


def _own_items(counts: np.ndarray) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Point to a user's own history, of so many items."""
    return lambda users, items: (counts[users], np.full(len(users), np.nan))
