"""Between the engine's tables and arrays: sparse matrices from positions, vectors from lists and back.

The one module that knows how frames of the engine look; everything else takes arrays.
"""

from typing import Any

import numpy as np
import polars as pl
from scipy import sparse


def sparse_matrix(pairs: pl.DataFrame, rows: int, columns: int) -> sparse.csr_array:
    """Return a sparse float32 matrix (rows, columns) of a frame of row position, column position, value.

    Raises:
        ValueError: If a position lies outside, as between tables of different builds.
    """
    row, column, value = (pairs.to_series(place).to_numpy() for place in range(3))
    if len(pairs) and (row.max() >= rows or column.max() >= columns):
        raise ValueError(
            f"{pairs.columns[0]} {row.max()} and {pairs.columns[1]} {column.max()} reach beyond the {rows} "
            f"and {columns} that there are: the tables are of different builds. Build all of them: dbt build."
        )
    matrix = sparse.csr_array((value.astype(np.float32), (row, column)), shape=(rows, columns))
    matrix.sort_indices()
    return matrix


def vectors_of(column: pl.Series) -> np.ndarray:
    """Return a column of equally long lists as a float32 array (n, d); a null becomes a row of zeros.

    Raises:
        ValueError: If the lists differ in length.
    """
    lengths = column.list.len().drop_nulls().unique()
    if len(lengths) > 1:
        raise ValueError(f"Vectors of one table must be equally long, not {sorted(lengths)}.")
    vectors = np.zeros((len(column), lengths[0] if len(lengths) else 0), np.float32)
    if vectors.size:
        known = column.is_not_null()
        vectors[known.to_numpy()] = column.filter(known).explode().to_numpy().reshape(-1, vectors.shape[1])
    return vectors


def vector_table(keys: pl.DataFrame, vectors: np.ndarray, run_id: str, model_version: str) -> pl.DataFrame:
    """Return the keys with their vectors (n, d) as lists, and the run that made them."""
    if vectors.size:
        column = pl.Series("vector", vectors.astype(np.float32)).arr.to_list()
    else:
        column = pl.Series("vector", [[] for _ in range(len(keys))], pl.List(pl.Float32))
    return keys.with_columns(column, run_id=pl.lit(run_id), model_version=pl.lit(model_version))


def vector_matrix(frame: pl.DataFrame) -> np.ndarray:
    """Turn the list column `vector` into an (n, d) float32 matrix; (0, 0) for an empty frame.

    Raises:
        ValueError: If vectors are missing or have different lengths.
    """
    if frame.is_empty():
        return np.zeros((0, 0), dtype=np.float32)
    lengths = frame["vector"].list.len().unique().to_list()
    if lengths == [None] or len(lengths) != 1:
        raise ValueError(f"User vectors must all be there and of one length, but lengths are {lengths}.")
    values = frame["vector"].explode() if lengths != [0] else pl.Series([], dtype=pl.Float32)
    return values.cast(pl.Float32).fill_null(np.nan).to_numpy().reshape(len(frame), lengths[0])


def previous_rows(session: Any, relation: Any) -> pl.DataFrame | None:
    """Return the rows of a table as the last build left them, None if there is no such table yet.

    A Python model passes its own relation, dbt.this: while the model runs, the old table is still in place.

    Args:
        session: The connection that a Python model gets.
        relation: Something with database, schema and identifier, whose text is the quoted name of the table.
    """
    found = session.execute(
        """
        select 1 from information_schema.tables
        where table_catalog = ? and table_schema = ? and table_name = ?
        """,
        [relation.database, relation.schema, relation.identifier],
    ).fetchall()
    return session.sql(f"select * from {relation}").pl() if found else None
