"""Candidates of the fitted sources at an earlier wall: the other half of what the ranker learns from."""

import numpy as np
import polars as pl

from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.frames import vectors_of
from manyfaces.recommendations import content
from manyfaces.recommendations.tables import (
    COLLABORATIVE_SCHEMA,
    collaborative_table,
    content_table,
    read_history,
)

TRAINING_SCHEMA = {
    name: COLLABORATIVE_SCHEMA[name]
    for name in ("user_key", "item_id", "source", "score", "run_id", "model_version")
}


def training_table(
    matrix_users: pl.DataFrame,
    matrix_items: pl.DataFrame,
    training_matrix: pl.DataFrame,
    item_stats: pl.DataFrame,
    texts: pl.DataFrame,
    store_dir: str,
    *,
    content_count: int,
    **parameters: object,
) -> pl.DataFrame:
    """Give the collaborative and the content candidates that users had at the earlier wall.

    Users without a history there are left out, so that the method is chosen by those who count. The taste of
    a user is the mean of the texts in the history: interests are those of today.

    Args:
        matrix_users: user_index, user_key.
        matrix_items: item_index, item_id, text_index (null without text).
        training_matrix: user_index, item_index, affinity, as they were at the earlier wall.
        item_stats: item_id, is_active.
        texts: text_index and vector.
        store_dir: folder of the artefact store.
        content_count: content candidates of a user, at most.
        parameters: of `collaborative_table`.

    Returns:
        Columns of TRAINING_SCHEMA, by source and user, best first.
    """
    known = matrix_users.join(training_matrix.select("user_index").unique(), on="user_index").sort(
        "user_index"
    )
    places = known.select("user_index").with_row_index("place")
    pairs = training_matrix.join(places, on="user_index").select(
        user_index=pl.col("place").cast(pl.Int64), item_index="item_index", affinity="affinity"
    )
    history = read_history(
        known.with_columns(user_index=pl.int_range(len(known))),
        matrix_items,
        pairs,
        pl.DataFrame(schema={"user_key": pl.String, "item_id": pl.String}),
        item_stats,
    )
    # Latent means of an earlier wall do not exist: the rule chooses among the other methods.
    method = "auto" if parameters["method"] == "variational" else parameters["method"]
    found = [collaborative_table(history, store_dir, vae_runs=list, **parameters | {"method": method})]
    texts = texts.filter(pl.col("text_index").is_not_null()).sort("text_index")
    if len(texts) and len(known):
        vectors = vectors_of(texts["vector"])
        placed = np.zeros((1 + int(texts["text_index"].max()), vectors.shape[1]), np.float32)
        placed[texts["text_index"].to_numpy()] = content.unit_rows(vectors)
        has_text = history.item_texts >= 0
        item_vectors = np.zeros((len(history.item_texts), vectors.shape[1]), np.float32)
        item_vectors[has_text] = placed[history.item_texts[has_text]]
        tastes = pool_vectors(history.matrix, item_vectors)
        users = pl.DataFrame({"user_key": history.user_keys}).with_columns(
            vector=pl.Series(tastes.tolist(), dtype=pl.List(pl.Float32))
        )
        found.append(
            content_table(
                history,
                users,
                texts,
                pl.DataFrame(schema={"user_key": pl.String, "item_id": pl.String, "weight": pl.Float64}),
                pl.DataFrame(
                    schema={"item_id": pl.String, "modality": pl.String, "vector": pl.List(pl.Float32)}
                ),
                store_dir,
                count=content_count,
                vectors_from="text",
            )
        )
    return pl.concat([table.select(list(TRAINING_SCHEMA)) for table in found])
