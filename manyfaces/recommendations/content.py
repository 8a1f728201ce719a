"""Content candidates: items whose text is near to the texts that a user likes.

Cosine of the user's text vector and the vectors of the items' texts, after the direction that all texts
share has been taken out of both: without that any two sentence vectors are similar, and a mean over many
texts is nearest to the blandest one (Mu and Viswanath, "All-but-the-Top", ICLR 2018). Many items share a
text, and a list of one text thirty times helps nobody: every text gives at most one item, its most used one
that is new to the user. A user may have several vectors, one for each interest (PinnerSage, Pal et al. 2020,
arXiv:2007.03634); then each of them gives its share of the list.
"""

import numpy as np
from scipy import sparse

from manyfaces.progress import stage
from manyfaces.recommendations.top_items import DECIMALS, RankedItems, entry_rows, top_columns, top_entries

MODEL_VERSION = "content-2"
BLOCK_ROWS = 512
EVIDENCE_ITEMS = 20
"""Own items of a user that can be named as the reason."""


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale every row to length 1; rows of zeros stay.

    Args:
        vectors: (rows, dims).

    Returns:
        (rows, dims) float32.
    """
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def common_direction(vectors: np.ndarray) -> np.ndarray:
    """Find the direction that all vectors share, which tells nothing about any of them.

    Args:
        vectors: (rows, dims).

    Returns:
        (dims,) the mean scaled to length 1; zeros for fewer than two rows, where there is nothing to compare.
    """
    if len(vectors) < 2:
        return np.zeros(vectors.shape[1], np.float32)
    return unit_rows(vectors.mean(axis=0, keepdims=True))[0]


def without_direction(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Project vectors onto what is orthogonal to a direction and scale them to length 1.

    Args:
        vectors: (rows, dims) of any length.
        direction: (dims,) of length 1, or zeros to leave the vectors as they are.

    Returns:
        (rows, dims) float32; zeros where nothing but the direction was in the vector.
    """
    vectors = unit_rows(vectors)
    rest = vectors - np.outer(vectors @ direction, direction)
    rest[np.linalg.norm(rest, axis=1) < 1e-4] = 0
    return unit_rows(rest)


def most_used_new_items(
    users: np.ndarray, texts: np.ndarray, item_texts: np.ndarray, usable: np.ndarray, seen: sparse.csr_array
) -> np.ndarray:
    """Find the most used item of each wanted text that its user has not seen.

    Args:
        users: (pairs,) row of `seen`.
        texts: (pairs,) text that is wanted for the user.
        item_texts: (items,) text of each item, items by falling use; -1 without text.
        usable: (items,) bool, items with a text that may be recommended.
        seen: (users, items) CSR.

    Returns:
        (pairs,) item index, -1 where the user has seen all items of the text.
    """
    items = np.flatnonzero(usable)
    items = items[np.argsort(item_texts[items], kind="stable")]
    first = np.searchsorted(item_texts[items], texts, side="left")
    last = np.searchsorted(item_texts[items], texts, side="right")
    # Sorted once, with an end that nothing equals: np.isin would sort the pairs of all users in every round.
    known = np.append(np.sort(entry_rows(seen) * seen.shape[1] + seen.indices), -1)
    found = np.full(len(users), -1)
    open_pairs = np.flatnonzero(first < last)
    while len(open_pairs):
        candidates = items[first[open_pairs]]
        pairs = users[open_pairs] * seen.shape[1] + candidates
        is_new = known[np.searchsorted(known[:-1], pairs)] != pairs
        found[open_pairs[is_new]] = candidates[is_new]
        first[open_pairs] += 1
        open_pairs = open_pairs[~is_new & (first[open_pairs] < last[open_pairs])]
    return found


def nearest_own_items(
    users: np.ndarray,
    texts: np.ndarray,
    matrix: sparse.csr_array,
    item_texts: np.ndarray,
    text_vectors: np.ndarray,
    count: int = EVIDENCE_ITEMS,
) -> np.ndarray:
    """Find, for each recommended text, the user's own item that is nearest to it.

    Args:
        users: (pairs,) row of `matrix`.
        texts: (pairs,) recommended text.
        matrix: (users, items) affinities of the user's own items.
        item_texts: (items,) text of each item, -1 without text.
        text_vectors: (texts, dims) rows of length 1.
        count: a user's items with the highest affinity that come into question.

    Returns:
        (pairs,) item index, -1 for users without an own item that has a text.
    """
    has_text = item_texts[matrix.indices] >= 0
    row, item, _ = top_entries(
        entry_rows(matrix)[has_text], matrix.indices[has_text], matrix.data[has_text], count
    )
    own = np.full((matrix.shape[0], count), -1)
    own[row, np.arange(len(row)) - np.searchsorted(row, row, side="left")] = item
    own_texts = np.where(own >= 0, item_texts[own], 0)
    nearest = np.full(len(users), -1)
    bounds = np.searchsorted(users, np.arange(matrix.shape[0] + 1))
    for user in np.unique(users):
        pairs = slice(bounds[user], bounds[user + 1])
        kept = own[user] >= 0
        if kept.any():
            cosines = text_vectors[texts[pairs]] @ text_vectors[own_texts[user, kept]].T
            nearest[pairs] = own[user, kept][np.round(cosines, DECIMALS).argmax(axis=1)]
    return nearest


def content_candidates(
    user_vectors: np.ndarray,
    text_vectors: np.ndarray,
    item_texts: np.ndarray,
    matrix: sparse.csr_array,
    seen: sparse.csr_array,
    allowed: np.ndarray,
    *,
    count: int,
    owners: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    block_rows: int = BLOCK_ROWS,
) -> RankedItems:
    """Find the items new to each user whose text is nearest to what the user likes, one per text.

    Args:
        user_vectors: (rows, dims); a row of zeros gets no candidates.
        text_vectors: (texts, dims).
        item_texts: (items,) text of each item, items by falling use; -1 without text.
        matrix: (users, items) affinities; they rank the own items that can be evidence.
        seen: (users, items) CSR; every stored entry is an item that is not new to the user.
        allowed: (items,) bool, items that may be recommended.
        count: at most this many items per user.
        owners: (rows,) user of each vector, rising; None when each user has one.
        shares: (rows,) above 0, the part of a user's list that each vector gives; None for equal parts.
        block_rows: vectors that are compared at once.

    Returns:
        user_index, item_index, score (the cosine) and evidence_item_index (-1 for none), by user, best first.
    """
    owners = np.arange(len(user_vectors)) if owners is None else owners
    shares = np.ones(len(user_vectors)) if shares is None else shares
    usable = allowed & (item_texts >= 0)
    texts = np.unique(item_texts[usable])
    shared = common_direction(unit_rows(text_vectors))
    vectors = without_direction(text_vectors, shared)
    found = [np.empty((4, 0))]
    with stage("content candidates") as progress:
        items_of_text = sparse.csr_array(
            (np.ones(usable.sum()), (np.flatnonzero(usable), np.searchsorted(texts, item_texts[usable]))),
            shape=(len(item_texts), len(texts)),
        )
        sizes = np.asarray(items_of_text.sum(axis=0)).ravel()
        for start in range(0, len(user_vectors) if len(texts) else 0, block_rows):
            rows = slice(start, start + block_rows)
            scores = without_direction(user_vectors[rows], shared) @ vectors[texts].T
            block_seen = seen[owners[rows]]
            known = sparse.csr_array(
                (np.ones(block_seen.nnz), block_seen.indices, block_seen.indptr), shape=block_seen.shape
            )
            seen_items = (known @ items_of_text).tocoo()
            used_up = seen_items.data >= sizes[seen_items.col]
            scores[seen_items.row[used_up], seen_items.col[used_up]] = -np.inf
            row, column, score = top_columns(scores, count)
            text = texts[column]
            item = most_used_new_items(row, text, item_texts, usable, block_seen)
            evidence = nearest_own_items(row, text, matrix[owners[rows]], item_texts, vectors)
            found.append(np.stack([start + row, item, score, evidence]))
        row, item, score, evidence = np.concatenate(found, axis=1)
        kept = fair_rows(row.astype(np.int64), item, score, owners, shares, count)
        progress.rows = len(kept)
    return {
        "user_index": owners[row[kept].astype(np.int64)].astype(np.int32),
        "item_index": item[kept].astype(np.int32),
        "score": score[kept],
        "evidence_item_index": evidence[kept].astype(np.int32),
    }


def fair_rows(
    rows: np.ndarray,
    items: np.ndarray,
    scores: np.ndarray,
    owners: np.ndarray,
    shares: np.ndarray,
    count: int,
) -> np.ndarray:
    """Choose among the lists of a user's vectors, so that each gives its share of the items.

    The n-th item of a vector with share s has its turn at n / s; the first turns of a user are kept.

    Args:
        rows: (finds,) vector that found an item; finds by vector, best first.
        items: (finds,) the item.
        scores: (finds,) its score.
        owners: (vectors,) user of each vector, rising.
        shares: (vectors,) above 0.
        count: at most this many items per user.

    Returns:
        Positions of the finds that are kept, by user, best first; an item at most once per user.
    """
    users = owners[rows]
    turns = (1 + np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")) / shares[rows]
    order = np.lexsort((turns, items, users))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    order = order[is_first]
    order = order[np.lexsort((items[order], -scores[order], turns[order], users[order]))]
    place = np.arange(len(order)) - np.searchsorted(users[order], users[order], side="left")
    order = order[place < count]
    return order[np.lexsort((items[order], -scores[order], users[order]))]
