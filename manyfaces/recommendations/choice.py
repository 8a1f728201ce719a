"""Which method makes the collaborative candidates, by a rule that can be read.

EASE^R has the best lists for its time as long as a dense matrix of its cheaper form, users x users or items
x items, fits the memory, and the work, which grows with the third power of its edge, stays within a bound.
Above either, GF-CF scores the whole catalogue without such a matrix. The others are for those who ask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from manyfaces.progress import say, stage
from manyfaces.recommendations import alternating, ease, graph_filter
from manyfaces.recommendations.top_items import RankedItems, ScoreBlocks, empty_ranking, rank_blocks

Method = Literal["ease_users", "ease_items", "graph_filter", "als", "variational"]

METHODS = ("auto", "ease", "graph_filter", "als", "variational")
"""What can be asked for; `auto` leaves it to the rule."""
EASE_BYTES = 16
"""Memory of EASE^R for each cell of its dense square, with what it needs on the way."""
ALGORITHMS = {
    "ease_users": "EASE^R, users x users",
    "ease_items": "EASE^R, items x items",
    "graph_filter": "GF-CF",
    "als": "implicit ALS",
    "variational": "Mult-VAE",
}
VERSIONS = {
    "ease_users": ease.MODEL_VERSION,
    "ease_items": ease.MODEL_VERSION,
    "graph_filter": graph_filter.MODEL_VERSION,
    "als": alternating.MODEL_VERSION,
    "variational": "variational-2",
}


@dataclass(frozen=True)
class Choice:
    """A method and the sentence that says why it was chosen."""

    method: Method
    reason: str


def choose_method(
    users: int, items: int, nonzeros: int, *, asked: str = "auto", max_items: int, memory_mb: int
) -> Choice:
    """Choose how collaborative candidates are made.

    Args:
        users: rows of the user-item matrix.
        items: its columns.
        nonzeros: its entries.
        asked: one of METHODS.
        max_items: edge of the biggest dense square that EASE^R may work on.
        memory_mb: memory that EASE^R may use, in 10^6 bytes.

    Returns:
        The method, and a sentence with the numbers that decided.

    Raises:
        ValueError: If there is no such method.
    """
    if asked not in METHODS:
        raise ValueError(f"There is no method '{asked}': take one of {', '.join(METHODS)}.")
    size = f"{users:,} users x {items:,} items with {nonzeros:,} entries"
    form: Method = "ease_users" if users < items else "ease_items"
    if asked != "auto":
        return Choice(form if asked == "ease" else asked, f"collaborative_method asks for it ({size}).")
    edge = min(users, items)
    needed = round(EASE_BYTES * edge**2 / 1e6)
    if edge > max_items:
        reason = f"the smaller edge of {size} is above collaborative_max_items, {max_items:,}."
    elif needed > memory_mb:
        reason = (
            f"EASE^R on {size} needs {needed:,} MB, above the {memory_mb:,} MB of collaborative_memory_mb."
        )
    else:
        fewer = "users are fewer than items" if form == "ease_users" else "items are not more than users"
        return Choice(form, f"{size}: {fewer}, and their dense square needs {needed:,} of {memory_mb:,} MB.")
    return Choice("graph_filter", reason)


def collaborative_candidates(
    matrix: sparse.csr_array,
    seen: sparse.csr_array,
    allowed: np.ndarray,
    *,
    count: int,
    choice: Choice,
    regularisation: float,
    max_items: int,
    seed: int,
    decoded: Callable[[], ScoreBlocks] | None = None,
) -> RankedItems:
    """Find the best new and the best repeated items of every user by the chosen method.

    Args:
        matrix: (users, items) affinities, items by falling use.
        seen: (users, items) CSR; every stored entry is an item that is not new to the user. Items with an
            affinity are never new; here stand those that the user met and did not like.
        allowed: (items,) bool, items that may be recommended.
        count: at most this many new and this many repeated items per user.
        choice: what choose_method returned.
        regularisation: of EASE^R, in units of `ease.absolute_regularisation`, above 0.
        max_items: edge of the biggest dense matrix; EASE^R that was asked for takes the most used items then.
        seed: of GF-CF and ALS.
        decoded: gives the scores of the variational autoencoder.

    Returns:
        Rows ordered by user, new before repeated, best first; no rows for an empty matrix.
    """
    if not matrix.data.any():
        return empty_ranking()
    say(f"collaborative candidates by {ALGORITHMS[choice.method]}: {choice.reason}")
    with stage("collaborative candidates") as progress:
        if choice.method == "graph_filter":
            blocks = graph_filter.score_blocks(matrix, seed=seed)
        elif choice.method == "als":
            parameters = alternating.AlternatingParameters(seed=seed)
            blocks = alternating.score_blocks(alternating.fit(matrix, parameters))
        elif choice.method == "variational":
            blocks = decoded()
        else:
            blocks = ease.score_blocks(matrix, regularisation, max_items)
        ranked = rank_blocks(blocks, matrix, seen, allowed, count)
        progress.rows = len(ranked["score"])
    return ranked
