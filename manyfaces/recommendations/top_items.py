"""Best items per user out of blocks of scores, with every tie broken the same way.

Item indices count from the most used item, so a tie goes to the lower index: the more used item.
Only positive scores become candidates: zero and less mean that nothing speaks for the item.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy import sparse

DECIMALS = 6
"""Scores are rounded to this many digits before they rank, so that the last bit decides nothing."""

_SCALE = 10**DECIMALS

GROUP_COLUMNS = 64
"""Columns of one group in the search for a bound, at most."""

ScoreBlocks = Iterator[tuple[int, np.ndarray]]
"""First user of each block, and the (users of the block, items) float32 scores."""

RankedItems = dict[str, np.ndarray]
"""Columns of equal length: user_index int32, item_index int32, score float64, is_repeat bool."""


def empty_ranking() -> RankedItems:
    """Give a ranking without rows."""
    return {
        "user_index": np.empty(0, np.int32),
        "item_index": np.empty(0, np.int32),
        "score": np.empty(0, np.float64),
        "is_repeat": np.empty(0, bool),
    }


def top_columns(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the highest positive scores of every row without sorting the rows.

    Args:
        scores: (rows, columns) finite floats; -inf marks what must not come.
        count: at most this many per row.

    Returns:
        Row, column and rounded score of each find, ordered by row, then best first; a tie goes to the lower
        column.
    """
    rows, columns = scores.shape
    count = min(count, columns)
    if rows == 0 or count <= 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    # A score that rounds to the same number as the bound may win a tie.
    bound = np.maximum(lower_bound(scores, count) - 2 / _SCALE, 0)
    row, column = np.divmod(np.flatnonzero((scores > 0) & (scores >= bound)), columns)
    return top_entries(row, column, scores[row, column], count)


def lower_bound(scores: np.ndarray, count: int) -> np.ndarray:
    """Find a number that the `count` highest scores of a row reach, and not many others.

    The highest of each of many groups of columns are themselves scores, so the `count`-th highest of those is
    such a number. That is one pass over the scores, where a partition of whole rows takes many.

    Args:
        scores: (rows, columns); at least one row.
        count: 1 to columns.

    Returns:
        (rows, 1).
    """
    rows, columns = scores.shape
    width = max(min(columns // (4 * count), GROUP_COLUMNS), 1)
    groups = columns // width
    highest = scores[:, : groups * width].reshape(rows, width, groups).max(axis=1)
    return np.partition(highest, groups - count, axis=1)[:, groups - count, None]


def top_entries(
    rows: np.ndarray, columns: np.ndarray, scores: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the highest positive scores of every row among single entries (row, column, score).

    Args:
        rows: (entries,) row of each entry.
        columns: (entries,) column of each entry.
        scores: (entries,) score of each entry.
        count: at most this many per row.

    Returns:
        Row, column and rounded score of each find, ordered by row, then best first.
    """
    values = np.rint(scores.astype(np.float64) * _SCALE) / _SCALE
    order = np.lexsort((columns, -values, rows))
    order = order[values[order] > 0]
    rows, columns, values = rows[order], columns[order], values[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    kept = place < count
    return rows[kept], columns[kept], values[kept]


def entry_rows(matrix: sparse.csr_array) -> np.ndarray:
    """Give the row of every stored entry of a CSR matrix, in stored order."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def rank_block(
    scores: np.ndarray, liked: sparse.csr_array, seen: sparse.csr_array, allowed: np.ndarray, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, bool]]:
    """Rank one block of users: first items new to them, then items that they like already.

    Args:
        scores: (users, items) of the block; what is not allowed or was seen is set to -inf in place.
        liked: (users, items) CSR; every stored entry is an item that may come again.
        seen: (users, items) CSR; every stored entry is an item that is not new to the user.
        allowed: (items,) bool, items that may be recommended.
        count: at most this many of either kind per user.

    Yields:
        Row in the block, item, rounded score, and whether the item comes again.
    """
    rows, columns = entry_rows(liked), liked.indices
    usable = allowed[columns]
    repeated = top_entries(rows[usable], columns[usable], scores[rows[usable], columns[usable]], count)
    scores[:, ~allowed] = -np.inf
    scores[rows, columns] = -np.inf
    scores[entry_rows(seen), seen.indices] = -np.inf
    yield (*top_columns(scores, count), False)
    yield (*repeated, True)


def rank_blocks(
    blocks: Iterable[tuple[int, np.ndarray]],
    liked: sparse.csr_array,
    seen: sparse.csr_array,
    allowed: np.ndarray,
    count: int,
) -> RankedItems:
    """Rank all users, block by block; never more than one block of dense scores is in memory.

    Args:
        blocks: (first user, (users of the block, scored items) scores). Scored items are the first columns of
            `liked`; the others get no score.
        liked: (users, items) CSR; every stored entry is an item that may come again.
        seen: (users, items) CSR; every stored entry is an item that is not new to the user.
        allowed: (items,) bool, items that may be recommended.
        count: at most this many new and this many repeated items per user.

    Returns:
        Rows ordered by user, new before repeated, best first.
    """
    found: list[RankedItems] = [empty_ranking()]
    for start, scores in blocks:
        users, items = scores.shape
        rows = slice(start, start + users)
        new, repeated = rank_block(scores, liked[rows, :items], seen[rows, :items], allowed[:items], count)
        is_repeat = np.repeat([False, True], [len(new[0]), len(repeated[0])])
        row, column, score = (np.concatenate(parts) for parts in zip(new[:3], repeated[:3], strict=True))
        # Block by block: all rows at once would take their memory several times.
        order = np.lexsort((is_repeat, row))
        found.append(
            {
                "user_index": (start + row[order]).astype(np.int32),
                "item_index": column[order].astype(np.int32),
                "score": score[order],
                "is_repeat": is_repeat[order],
            }
        )
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
