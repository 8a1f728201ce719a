"""Rows of items for a sequence network: a vocabulary, windows of sequences, augmentation, places to guess.

A row holds numbers of items; the number of items + 1 fills it up behind its end.
"""

from dataclasses import dataclass

import numpy as np

from manyfaces.embeddings.encoders.base import UserHistory


@dataclass(frozen=True)
class Rows:
    """Sequences of n users, filled up to the longest.

    Attributes:
        items: (n, l) item numbers, `padding` behind the end of a row.
        lengths: (n,) items in a row, at least 1.
        padding: Number behind the end.
    """

    items: np.ndarray
    lengths: np.ndarray
    padding: int

    def __getitem__(self, chosen: np.ndarray) -> "Rows":
        """Return some of the rows."""
        return Rows(self.items[chosen], self.lengths[chosen], self.padding)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.items)

    @property
    def filled(self) -> np.ndarray:
        """Which places (n, l) hold an item."""
        return np.arange(self.items.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class Guesses:
    """Rows with places whose items are to be guessed.

    Attributes:
        rows: What the network reads.
        places: Row and column of each of p guesses, two arrays (p,).
        targets: (p,) the right item numbers.
    """

    rows: Rows
    places: tuple[np.ndarray, np.ndarray]
    targets: np.ndarray


def most_frequent_items(history: UserHistory, max_items: int) -> np.ndarray:
    """Return the ids (k,) of the items that occur most in the sequences, the most frequent first."""
    item_ids = np.asarray(history.item_ids, dtype=np.str_)
    counts = np.bincount(history.sequence_items, minlength=len(item_ids))
    order = np.lexsort((item_ids, -counts))[:max_items]
    return item_ids[order[counts[order] > 0]]


def newest_items(history: UserHistory, users: np.ndarray, max_length: int) -> Rows:
    """Return the newest items of users who have any, the newest last."""
    ends = history.sequence_offsets[users + 1]
    lengths = np.minimum(ends - history.sequence_offsets[users], max_length)
    return _windows(history, ends - lengths, lengths)


def augmented(
    history: UserHistory,
    users: np.ndarray,
    max_length: int,
    crop_share: float,
    item_dropout: float,
    random: np.random.Generator,
) -> Rows:
    """Return the newest items or, of a share of the users, a random window, with some items left out.

    A window is half to all as long as the newest items would be; at least two items stay in every row.
    """
    starts, ends = history.sequence_offsets[users], history.sequence_offsets[users + 1]
    longest = np.minimum(ends - starts, max_length)
    shortest = np.maximum((longest + 1) // 2, 2)
    cropped = random.random(len(users)) < crop_share
    lengths = np.where(cropped, random.integers(shortest, longest + 1), longest)
    last_starts = ends - lengths
    starts = np.where(cropped, random.integers(starts, last_starts + 1), last_starts)
    rows = _windows(history, starts, lengths)
    return _without_some_items(rows, item_dropout, random) if item_dropout else rows


def hidden_items(
    rows: Rows, mask: int, share: float, visible_share: float, random: np.random.Generator
) -> Guesses:
    """Hide a share of the items of each row, at least one, behind the mask; some of them stay visible."""
    places = np.nonzero(_chosen_places(rows.filled, rows.lengths, share, random))
    hidden = random.random(len(places[0])) >= visible_share
    items = rows.items.copy()
    items[places] = np.where(hidden, mask, items[places])
    return Guesses(Rows(items, rows.lengths, rows.padding), places, rows.items[places])


def next_items(rows: Rows, share: float, random: np.random.Generator) -> Guesses:
    """Choose a share of the places of each row, at least one, whose next item is to be guessed."""
    before_the_last = np.arange(rows.items.shape[1]) < rows.lengths[:, None] - 1
    row, column = np.nonzero(_chosen_places(before_the_last, rows.lengths - 1, share, random))
    return Guesses(rows, (row, column), rows.items[row, column + 1])


def newest_item(rows: Rows, mask: int | None) -> Guesses:
    """Have the newest item of each row guessed: hidden behind the mask, or from the place before if None."""
    row, last = np.arange(len(rows)), rows.lengths - 1
    targets = rows.items[row, last]
    if mask is None:
        return Guesses(rows, (row, last - 1), targets)
    items = rows.items.copy()
    items[row, last] = mask
    return Guesses(Rows(items, rows.lengths, rows.padding), (row, last), targets)


def item_to_come(rows: Rows, mask: int | None) -> Guesses:
    """Have the item after the newest of each row guessed: behind a mask, or from the newest if None.

    The mask takes a place: rows are one longer then. Nobody knows the right items yet, the targets say 0.
    """
    row, unknown = np.arange(len(rows)), np.zeros(len(rows), np.int64)
    if mask is None:
        return Guesses(rows, (row, rows.lengths - 1), unknown)
    items = np.pad(rows.items, ((0, 0), (0, 1)), constant_values=rows.padding)
    items[row, rows.lengths] = mask
    return Guesses(Rows(items, rows.lengths + 1, rows.padding), (row, rows.lengths), unknown)


def _windows(history: UserHistory, starts: np.ndarray, lengths: np.ndarray) -> Rows:
    columns = np.arange(lengths.max())
    places = np.minimum(starts[:, None] + columns, len(history.sequence_items) - 1)
    padding = len(history.item_ids) + 1
    items = np.where(columns < lengths[:, None], history.sequence_items[places].astype(np.int64), padding)
    return Rows(items, lengths, padding)


def _without_some_items(rows: Rows, share: float, random: np.random.Generator) -> Rows:
    kept = rows.filled & (random.random(rows.items.shape) >= share)
    # A row of which too little would be left stays whole.
    kept = np.where(kept.sum(axis=1, keepdims=True) > 1, kept, rows.filled)
    lengths = kept.sum(axis=1)
    # Moves what is kept to the front of its row, in the same order.
    order = np.argsort(~kept, axis=1, kind="stable")
    items = np.where(kept, rows.items, rows.padding)
    return Rows(np.take_along_axis(items, order, axis=1)[:, : lengths.max()], lengths, rows.padding)


def _chosen_places(
    allowed: np.ndarray, counts: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Return which of the allowed places (n, l), the first `counts` of each row, are chosen: at least one."""
    chosen = allowed & (random.random(allowed.shape) < share)
    spare = random.integers(0, counts)
    without = np.flatnonzero(~chosen.any(axis=1))
    chosen[without, spare[without]] = True
    return chosen
