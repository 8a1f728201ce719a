"""From feature tables to tables of vectors: what the Python models of the layer call.

Rows are sorted by their key before anything is fitted, every fit goes through the artefact store, and each
table has the same columns whether it has rows or not.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from manyfaces.embeddings import text
from manyfaces.embeddings.encoders import svd
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.table import fit_encoder
from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.frames import sparse_matrix, vector_table, vectors_of
from manyfaces.keeping import Plan, keep_or_fit
from manyfaces.progress import stage
from manyfaces.store import Artifact, ArtifactStore, fingerprint


def item_text_table(
    item_texts: pl.DataFrame, encoder: str, pooling: str, batch_size: int, store_dir: str, seed: int
) -> pl.DataFrame:
    """Return a vector for each distinct text.

    Args:
        item_texts: text_index, text_key, text.
        encoder: See text.encode_texts, also for the other arguments.
        pooling: From token vectors to the text's.
        batch_size: Texts in one pass.
        store_dir: Root of the artefact store.
        seed: Seed of what is random.

    Returns:
        text_index, text_key, vector, run_id, model_version.
    """
    item_texts = item_texts.sort("text_index")
    with stage("item_text_embeddings", len(item_texts)):
        run = text.encode_texts(item_texts["text"].to_list(), encoder, batch_size, store_dir, seed, pooling)
    keys = item_texts.select(pl.col("text_index").cast(pl.Int32), "text_key")
    return vector_table(keys, run.vectors, run.run_id, run.model_version)


def item_text_vector_table(
    item_text_embeddings: pl.DataFrame,
    user_text_weights: Callable[[], pl.DataFrame],
    adapter: str,
    store_dir: str,
    seed: int,
    plan: Plan,
) -> pl.DataFrame:
    """Return the text vectors that the tables to the right read: adapted to what users take together, or not.

    Args:
        item_text_embeddings: text_index, text_key, vector, run_id, model_version.
        user_text_weights: Loads user_index, text_index, weight; called only if there is something to adapt.
        adapter: `none` passes the vectors through, `contrastive` adapts them (item_adapter).
        store_dir: Root of the artefact store.
        seed: Seed of the pairs and the training.
        plan: Whether an earlier adapter goes on serving.

    Returns:
        The columns of item_text_embeddings; an adapted vector has the run of its adapter.
    """
    if adapter == "none" or item_text_embeddings.is_empty():
        return item_text_embeddings
    from manyfaces.embeddings import item_adapter  # loads torch, which takes seconds

    texts = item_text_embeddings.sort("text_index")
    cells = user_text_weights().select("user_index", "text_index", "weight")
    users = int(cells["user_index"].max()) + 1 if len(cells) else 0
    weights = sparse_matrix(cells, users, len(texts))
    vectors = vectors_of(texts["vector"])
    settings = item_adapter.AdapterParameters(seed=seed)

    def compute() -> Artifact:
        return item_adapter.fit_adapter(vectors, weights, settings)

    with stage("item_text_vectors", len(texts)):
        artifact = keep_or_fit(
            ArtifactStore(store_dir),
            "text_adapter",
            fingerprint(item_adapter.MODEL_VERSION, asdict(settings), texts["model_version"][0]),
            fingerprint(vectors, weights),
            compute,
            plan,
        )
        adapted = item_adapter.apply_adapter(vectors, artifact)
    version = f"{item_adapter.MODEL_VERSION}/{texts['model_version'][0]}"
    return vector_table(texts.select("text_index", "text_key"), adapted, artifact.run_id, version)


def user_text_table(
    matrix_users: pl.DataFrame, user_text_weights: pl.DataFrame, item_text_vectors: pl.DataFrame
) -> pl.DataFrame:
    """Return each user's direction in the space of the texts.

    Args:
        matrix_users: user_index, user_key.
        user_text_weights: user_index, text_index, weight.
        item_text_vectors: text_index, vector, run_id, model_version.

    Returns:
        user_key, vector, run_id, model_version; the run is that of the text vectors. No rows if no item has
        a text; a user whose items have none has a vector of zeros.
    """
    users, texts = matrix_users.sort("user_index"), item_text_vectors.sort("text_index")
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
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    store_dir: str,
    plan: Plan,
    **parameters: Any,
) -> pl.DataFrame:
    """Return each user's latent mean under an autoencoder of the user-item matrix.

    Args:
        matrix_users: user_index, user_key.
        matrix_items: item_index, item_id.
        user_item_matrix: user_index, item_index, affinity.
        store_dir: Root of the artefact store.
        plan: Whether an earlier autoencoder goes on serving.
        parameters: Fields of encoders.variational.MultVaeParameters.

    Returns:
        user_key, vector, run_id, model_version.
    """
    from manyfaces.embeddings.encoders.variational import MULT_VAE  # loads torch, which takes seconds

    history = interactions(matrix_users, matrix_items, user_item_matrix)
    settings = MULT_VAE.Parameters(**parameters)
    with stage("user_vae_embeddings", len(matrix_users)):
        artifact = fit_encoder("vae", "mult_vae", settings, history, ArtifactStore(store_dir), plan)
        vectors = MULT_VAE.encode(history, artifact)
    keys = matrix_users.sort("user_index").select("user_key")
    return vector_table(keys, vectors, artifact.run_id, MULT_VAE.version)


def user_factor_table(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    dims: int,
    seed: int,
    store_dir: str,
    plan: Plan,
) -> pl.DataFrame:
    """Return the user factors: user_key, vector, run_id, model_version. Arguments as in item_factor_table."""
    history = interactions(matrix_users, matrix_items, user_item_matrix)
    with stage("user_factors", len(matrix_users)):
        artifact = _factors(history, dims, seed, store_dir, plan)
        vectors = svd.encode(history, artifact)
    keys = matrix_users.sort("user_index").select("user_key")
    return vector_table(keys, vectors, artifact.run_id, svd.version)


def item_factor_table(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    user_item_matrix: pl.DataFrame,
    dims: int,
    seed: int,
    store_dir: str,
    plan: Plan,
) -> pl.DataFrame:
    """Return the item factors, of the same decomposition as the user factors (one of the two computes it).

    Args:
        matrix_users: user_index, user_key.
        matrix_items: item_index, item_id.
        user_item_matrix: user_index, item_index, affinity.
        dims: Number of factors.
        seed: Seed of the random projection.
        store_dir: Root of the artefact store.
        plan: Whether an earlier decomposition goes on serving; its items are then those of its fit.

    Returns:
        item_id, vector, run_id, model_version.
    """
    history = interactions(matrix_users, matrix_items, user_item_matrix)
    with stage("item_factors", len(matrix_items)):
        artifact = _factors(history, dims, seed, store_dir, plan)
    keys = pl.DataFrame({"item_id": artifact.arrays["item_ids"]}, schema={"item_id": pl.String})
    return vector_table(keys, artifact.arrays["items"], artifact.run_id, svd.version)


def interactions(
    matrix_users: pl.DataFrame, matrix_items: pl.DataFrame, user_item_matrix: pl.DataFrame
) -> UserHistory:
    """Return the user-item matrix as what encoders read, without features and sequences."""
    users, items = len(matrix_users), matrix_items.sort("item_index")
    pairs = user_item_matrix.select("user_index", "item_index", "affinity")
    return UserHistory(
        item_ids=np.array(items["item_id"].to_list(), dtype=np.str_),
        matrix=sparse_matrix(pairs, users, len(items)),
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((users, 0), np.float32),
        sequence_items=np.zeros(0, np.int32),
        sequence_offsets=np.zeros(users + 1, np.int64),
    )


def _factors(history: UserHistory, dims: int, seed: int, store_dir: str, plan: Plan) -> Artifact:
    parameters = svd.Parameters(dims=dims, seed=seed)
    return fit_encoder("factors", "factors", parameters, history, ArtifactStore(store_dir), plan)
