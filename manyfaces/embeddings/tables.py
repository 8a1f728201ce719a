"""From feature tables to tables of vectors: what the Python models of the layer call.

Rows are sorted by their key before anything is fitted, every fit goes through the artefact store, and each
table has the same columns whether it has rows or not.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from manyfaces.embeddings import factors, text
from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.frames import sparse_matrix, vector_table, vectors_of
from manyfaces.progress import stage
from manyfaces.store import Artifact, ArtifactStore, fingerprint


def item_text_table(
    item_texts: pl.DataFrame, encoder: str, batch_size: int, store_dir: str, seed: int
) -> pl.DataFrame:
    """Return a vector for each distinct text.

    Args:
        item_texts: text_index, text_key, text.
        encoder: See text.encode_texts, also for the other arguments.
        batch_size: Texts in one pass.
        store_dir: Root of the artefact store.
        seed: Seed of what is random.

    Returns:
        text_index, text_key, vector, run_id, model_version.
    """
    item_texts = item_texts.sort("text_index")
    with stage("item_text_embeddings", len(item_texts)):
        run = text.encode_texts(item_texts["text"].to_list(), encoder, batch_size, store_dir, seed)
    keys = item_texts.select(pl.col("text_index").cast(pl.Int32), "text_key")
    return vector_table(keys, run.vectors, run.run_id, run.model_version)


def user_text_table(
    matrix_users: pl.DataFrame, user_text_weights: pl.DataFrame, item_text_embeddings: pl.DataFrame
) -> pl.DataFrame:
    """Return each user's direction in the space of the texts.

    Args:
        matrix_users: user_index, user_key.
        user_text_weights: user_index, text_index, weight.
        item_text_embeddings: text_index, vector, run_id, model_version.

    Returns:
        user_key, vector, run_id, model_version; the run is that of the text vectors. No rows if no item has
        a text; a user whose items have none has a vector of zeros.
    """
    users, texts = matrix_users.sort("user_index"), item_text_embeddings.sort("text_index")
    if texts.is_empty():
        return vector_table(users.select("user_key").clear(), np.zeros((0, 0)), "", "")
    with stage("user_text_embeddings", len(users)):
        pairs = user_text_weights.select("user_index", "text_index", "weight")
        weights = sparse_matrix(pairs, len(users), len(texts))
        vectors = pool_vectors(weights, vectors_of(texts["vector"]))
    run_id, version = texts.select("run_id", "model_version").row(0)
    return vector_table(users.select("user_key"), vectors, run_id, version)


def user_vae_table(
    matrix_users: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    max_items: int,
    store_dir: str,
    **parameters: Any,
) -> pl.DataFrame:
    """Return each user's latent mean under an autoencoder of the user-item matrix.

    Args:
        matrix_users: user_index, user_key.
        user_item_matrix: user_index, item_index, affinity.
        max_items: The most used items, that is the first columns, that the autoencoder reads.
        store_dir: Root of the artefact store.
        parameters: Fields of autoencoder.VaeParameters.

    Returns:
        user_key, vector, run_id, model_version.
    """
    from manyfaces.embeddings import autoencoder  # loads torch, which takes seconds

    users = matrix_users.sort("user_index")
    pairs = user_item_matrix.filter(pl.col("item_index") < max_items)
    items = int(pairs["item_index"].max() or 0) + 1 if len(pairs) else 0
    matrix = sparse_matrix(pairs.select("user_index", "item_index", "affinity"), len(users), items)
    settings = autoencoder.VaeParameters(**parameters)
    data = fingerprint(matrix)

    def compute() -> Artifact:
        artifact = autoencoder.fit_vae(matrix, settings)
        artifact.meta["data_fingerprint"] = data
        return artifact

    with stage("user_vae_embeddings", len(users)):
        key = fingerprint(autoencoder.MODEL_VERSION, asdict(settings), data)
        artifact = ArtifactStore(store_dir).fit("vae", key, compute)
        vectors = autoencoder.encode(matrix, artifact)
    return vector_table(users.select("user_key"), vectors, artifact.run_id, autoencoder.MODEL_VERSION)


def user_factor_table(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    dims: int,
    seed: int,
    store_dir: str,
) -> pl.DataFrame:
    """Return the user factors: user_key, vector, run_id, model_version. Arguments as in item_factor_table."""
    with stage("user_factors", len(matrix_users)):
        artifact = _factors(len(matrix_users), len(matrix_items), user_item_matrix, dims, seed, store_dir)
    keys = matrix_users.sort("user_index").select("user_key")
    return vector_table(keys, artifact.arrays["users"], artifact.run_id, factors.MODEL_VERSION)


def item_factor_table(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    dims: int,
    seed: int,
    store_dir: str,
) -> pl.DataFrame:
    """Return the item factors, of the same decomposition as the user factors (one of the two computes it).

    Args:
        matrix_users: user_index, user_key.
        matrix_items: item_index, item_id.
        user_item_matrix: user_index, item_index, affinity.
        dims: Number of factors.
        seed: Seed of the randomised decomposition.
        store_dir: Root of the artefact store.

    Returns:
        item_id, vector, run_id, model_version.
    """
    with stage("item_factors", len(matrix_items)):
        artifact = _factors(len(matrix_users), len(matrix_items), user_item_matrix, dims, seed, store_dir)
    keys = matrix_items.sort("item_index").select("item_id")
    return vector_table(keys, artifact.arrays["items"], artifact.run_id, factors.MODEL_VERSION)


def _factors(
    users: int, items: int, user_item_matrix: pl.DataFrame, dims: int, seed: int, store_dir: str
) -> Artifact:
    matrix = sparse_matrix(user_item_matrix.select("user_index", "item_index", "affinity"), users, items)
    data = fingerprint(matrix)

    def compute() -> Artifact:
        artifact = factors.factorise(matrix, dims, seed)
        artifact.meta["data_fingerprint"] = data
        return artifact

    return ArtifactStore(store_dir).fit(
        "factors", fingerprint(factors.MODEL_VERSION, dims, seed, data), compute
    )
