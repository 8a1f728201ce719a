"""From feature tables to tables of vectors: what the Python models of the layer call.

Rows are sorted by their key before anything is fitted, every fit goes through the artefact store, and each
table has the same columns whether it has rows or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from sklearn.preprocessing import normalize

from manyfaces.embeddings import factors, fusion, text
from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.frames import sparse_matrix, vector_table, vectors_of
from manyfaces.progress import stage
from manyfaces.store import Artifact, ArtifactStore, fingerprint

ATTRIBUTES = ("age_band", "gender", "income_band", "occupation", "region")


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
) -> pl.DataFrame:
    """Return the text vectors that the tables to the right read: adapted to what users take together, or not.

    Args:
        item_text_embeddings: text_index, text_key, vector, run_id, model_version.
        user_text_weights: Loads user_index, text_index, weight; called only if there is something to adapt.
        adapter: `none` passes the vectors through, `contrastive` adapts them (item_adapter).
        store_dir: Root of the artefact store.
        seed: Seed of the pairs and the training.

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
    data = fingerprint(vectors, weights)

    def compute() -> Artifact:
        artifact = item_adapter.fit_adapter(vectors, weights, settings)
        artifact.meta["data_fingerprint"] = data
        return artifact

    with stage("item_text_vectors", len(texts)):
        key = fingerprint(item_adapter.MODEL_VERSION, asdict(settings), data)
        artifact = ArtifactStore(store_dir).fit("text_adapter", key, compute)
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


def user_embedding_table(
    matrix_users: pl.DataFrame,
    user_features: pl.DataFrame,
    user_category_weights: pl.DataFrame,
    vector_tables: Mapping[str, pl.DataFrame],
    user_attributes: pl.DataFrame,
    weights: Mapping[str, float],
    dims: int,
    store_dir: str,
) -> pl.DataFrame:
    """Return one fused vector per user.

    Args:
        matrix_users: user_index, user_key.
        user_features: user_key and columns that end in _normalised.
        user_category_weights: user_index, category_index, weight.
        vector_tables: Tables with user_key and vector, for the blocks text, vae and factors. Only the
            direction of a vector counts, because its length is mostly how much a user does. A user without a
            vector gets zeros.
        user_attributes: user_key and ATTRIBUTES as text.
        weights: Weight by block: attributes, behaviour, factors, text, vae; see fusion.fuse.
        dims: Length of a fused vector.
        store_dir: Root of the artefact store.

    Returns:
        user_key, vector, run_id, model_version.
    """
    users = matrix_users.sort("user_index").select("user_key")
    weights = {name: float(weight) for name, weight in weights.items()}

    def by_user(frame: pl.DataFrame) -> pl.DataFrame:
        return users.join(frame, on="user_key", how="left", maintain_order="left").drop("user_key")

    def behaviour() -> np.ndarray:
        names = sorted(name for name in user_features.columns if name.endswith("_normalised"))
        activity = by_user(user_features.select("user_key", *names))
        categories = int(user_category_weights["category_index"].max() or 0) + 1
        pairs = user_category_weights.select("user_index", "category_index", "weight")
        return fusion.behaviour_block(
            activity.select(pl.all().cast(pl.Float64)).fill_null(np.nan).to_numpy(),
            sparse_matrix(pairs, len(users), categories if len(pairs) else 0),
        )

    def directions(table: pl.DataFrame) -> np.ndarray:
        vectors = vectors_of(by_user(table).to_series())
        return normalize(vectors) if vectors.size else vectors

    makers = {
        "behaviour": behaviour,
        "attributes": lambda: fusion.attributes_block(
            by_user(user_attributes.select("user_key", *ATTRIBUTES))
        ),
    } | {
        name: lambda table=table: directions(table.select("user_key", "vector"))
        for name, table in vector_tables.items()
    }
    blocks = {
        name: make() if weights.get(name, 0) else np.zeros((len(users), 0)) for name, make in makers.items()
    }
    with stage("user_embeddings", len(users)):
        data = fingerprint(blocks)
        used = {name: weight for name, weight in weights.items() if weight}

        def compute() -> Artifact:
            artifact = fusion.fuse(blocks, weights, dims)
            artifact.meta["data_fingerprint"] = data
            return artifact

        key = fingerprint(fusion.MODEL_VERSION, used, dims, data)
        artifact = ArtifactStore(store_dir).fit("fusion", key, compute)
    return vector_table(users, artifact.arrays["vectors"], artifact.run_id, fusion.MODEL_VERSION)
