"""The peers: what others would use, each fitted on the events before the wall.

A process of its own runs one peer on one data set and says what it took (`measure`), or tries the settings
of a peer on an inner split before the wall (`tune`). compare.py starts these processes.

Scores of users are computed in blocks; ties are broken by the item's index, which is its rank by users.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

THREADS = 2
BLOCK_USERS = 1000
FACTORS, ITERATIONS = 128, 15
LISTS = ("for_you", "discover")

Settings = dict[str, Any]
# From the length of a list and whether it is of new items only to item indices: users x length, -1 for none.
Recommend = Callable[[int, bool], np.ndarray]


@dataclass(frozen=True)
class Events:
    """Positive events before a wall: three arrays of equal length, and the size of the matrix."""

    user: np.ndarray
    item: np.ndarray
    age_days: np.ndarray
    users: int
    items: int

    def matrix(self, value: str = "binary", half_life_days: float | None = None) -> sparse.csr_matrix:
        """Return users x items: 1, the number of events, or its logarithm (1 + ln n); events may decay."""
        weight = (
            np.ones(len(self.user), np.float32)
            if half_life_days is None
            else np.exp2(-self.age_days / half_life_days).astype(np.float32)
        )
        summed = sparse.csr_matrix((weight, (self.user, self.item)), shape=(self.users, self.items))
        if value == "binary":
            summed.data[:] = 1
        elif value == "log":
            summed.data = 1 + np.log(summed.data)
        return summed


# --- lists ----------------------------------------------------------------------------------------


def cut(scores: np.ndarray, length: int) -> np.ndarray:
    """Return the best items of each row of scores (users x items), best first, ties by item index.

    Items with a score of minus infinity are left out; the rest of the row is -1.
    """
    length = min(length, scores.shape[1])
    if length < scores.shape[1]:
        top = np.sort(np.argpartition(-scores, length - 1, axis=1)[:, :length], axis=1)
    else:
        top = np.tile(np.arange(length), (len(scores), 1))
    values = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(top, order, axis=1)
    best[np.isneginf(np.take_along_axis(values, order, axis=1))] = -1
    return best


def user_blocks(users: int) -> Iterator[slice]:
    """Yield slices of users."""
    for start in range(0, users, BLOCK_USERS):
        yield slice(start, min(start + BLOCK_USERS, users))


def by_scores(seen: sparse.csr_matrix, scores: Callable[[slice], np.ndarray]) -> Recommend:
    """Return lists from a function that gives fresh scores for a block of users."""

    def recommend(length: int, only_new: bool) -> np.ndarray:
        lists = []
        for block in user_blocks(seen.shape[0]):
            block_scores = scores(block)
            if only_new:
                block_scores[seen[block].nonzero()] = -np.inf
            lists.append(cut(block_scores, length))
        return np.vstack(lists)

    return recommend


# --- peers ----------------------------------------------------------------------------------------


def popularity(events: Events, settings: Settings) -> Recommend:
    """The most used items; events may decay."""
    half_life_days = settings.get("half_life_days")
    value = "count" if half_life_days else "binary"
    popular = np.asarray(events.matrix(value, half_life_days).sum(axis=0), dtype=np.float32)
    return by_scores(
        events.matrix(), lambda block: np.repeat(popular.reshape(1, -1), block.stop - block.start, axis=0)
    )


def own_frequency(events: Events, settings: Settings) -> Recommend:
    """The user's own items by decayed number of events, then the most popular ones."""
    own = events.matrix("count", settings["half_life_days"])
    popular = np.asarray(own.sum(axis=0), dtype=np.float32)
    # So small that popularity only orders what the user never had.
    popular *= 1e-9 / popular.max()
    return by_scores(events.matrix(), lambda block: own[block].toarray() + popular)


def ease(events: Events, settings: Settings) -> Recommend:
    """EASE^R (Steck 2019), as in the paper: the inverse of items x items."""
    matrix = events.matrix(settings.get("value", "binary"))
    gram = (matrix.T @ matrix).toarray()
    gram[np.diag_indices_from(gram)] += settings["regularisation"]
    inverse = np.linalg.inv(gram)
    del gram
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    del inverse
    return by_scores(events.matrix(), lambda block: matrix[block] @ weights)


def ease_by_users(events: Events, settings: Settings) -> Recommend:
    """The same lists from the inverse of users x users: for tuning only, where there are fewer users."""
    matrix = events.matrix(settings.get("value", "binary"))
    gram = (matrix @ matrix.T).toarray()
    gram[np.diag_indices_from(gram)] += settings["regularisation"]
    projected = matrix.T.dot(np.linalg.inv(gram)).T
    diagonal = 1 - np.asarray(matrix.multiply(projected).sum(axis=0)).ravel()
    return by_scores(events.matrix(), lambda block: matrix[block].toarray() - projected[block] / diagonal)


def of_implicit(model: Any, matrix: sparse.csr_matrix, seen: sparse.csr_matrix) -> Recommend:
    """Return lists of a fitted model of implicit."""

    def recommend(length: int, only_new: bool) -> np.ndarray:
        lists = []
        for block in user_blocks(matrix.shape[0]):
            users = np.arange(block.start, block.stop)
            found, scores = model.recommend(
                users, matrix[block], N=length, filter_already_liked_items=only_new
            )
            # Where a user has too few items, implicit fills up with the worst possible score or item -1.
            found = np.where(scores <= np.finfo(np.float32).min, -1, found)
            lists.append(np.pad(found, ((0, 0), (0, length - found.shape[1])), constant_values=-1))
        return np.vstack(lists)

    return recommend


def item_knn(events: Events, settings: Settings) -> Recommend:
    """Item-kNN of implicit: cosine, tf-idf or BM25."""
    from implicit import nearest_neighbours

    kinds = {
        "cosine": nearest_neighbours.CosineRecommender,
        "tfidf": nearest_neighbours.TFIDFRecommender,
        "bm25": nearest_neighbours.BM25Recommender,
    }
    matrix = events.matrix(settings["value"])
    model = kinds[settings["kind"]](K=settings["neighbours"], num_threads=THREADS)
    model.fit(matrix, show_progress=False)
    return of_implicit(model, matrix, matrix)


def als(events: Events, settings: Settings) -> Recommend:
    """Alternating least squares of implicit."""
    from implicit.cpu.als import AlternatingLeastSquares

    matrix = events.matrix(settings["value"])
    model = AlternatingLeastSquares(
        factors=FACTORS,
        iterations=ITERATIONS,
        regularization=settings["regularisation"],
        alpha=settings["confidence"],
        num_threads=THREADS,
        random_state=7,
    )
    model.fit(matrix, show_progress=False)
    return of_implicit(model, matrix, matrix)


def bpr(events: Events, settings: Settings) -> Recommend:
    """Bayesian personalised ranking of implicit."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    matrix = events.matrix()
    model = BayesianPersonalizedRanking(
        factors=FACTORS,
        iterations=settings["iterations"],
        learning_rate=settings["learning_rate"],
        regularization=settings["regularisation"],
        num_threads=THREADS,
        random_state=7,
    )
    model.fit(matrix, show_progress=False)
    return of_implicit(model, matrix, matrix)


def of_lenskit(events: Events, scorer: Any) -> Recommend:
    """Return lists of a scorer of LensKit in its standard pipeline, trained here."""
    import pandas as pd
    from lenskit.basic.candidates import TrainingItemsCandidateConfig, TrainingItemsCandidateSelector
    from lenskit.batch import recommend as batch_recommend
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import RecPipelineBuilder
    from lenskit.training import TrainingOptions

    matrix = events.matrix().tocoo()
    data = from_interactions_df(pd.DataFrame({"user_id": matrix.row, "item_id": matrix.col}))
    users = np.unique(matrix.row)
    scorer.train(data, TrainingOptions(rng=7))
    pipelines = {}
    for only_new in (True, False):
        builder = RecPipelineBuilder()
        builder.scorer(scorer)
        builder.candidate_selector(
            TrainingItemsCandidateSelector,
            TrainingItemsCandidateConfig(exclude="query" if only_new else None),
        )
        pipelines[only_new] = builder.build()
        pipelines[only_new].train(data, TrainingOptions(retrain=False))

    def recommend(length: int, only_new: bool) -> np.ndarray:
        lists = np.full((events.users, length), -1)
        for key, found in batch_recommend(pipelines[only_new], users, n=length, n_jobs=1).items():
            lists[key.user_id, : len(found)] = found.ids()
        return lists

    return recommend


def lenskit_item_knn(events: Events, settings: Settings) -> Recommend:
    """Item-kNN of LensKit."""
    from lenskit.knn import ItemKNNScorer

    return of_lenskit(events, ItemKNNScorer(max_nbrs=settings["neighbours"], feedback="implicit"))


def lenskit_als(events: Events, settings: Settings) -> Recommend:
    """Implicit alternating least squares of LensKit."""
    from lenskit.als import ImplicitMFScorer

    return of_lenskit(
        events,
        ImplicitMFScorer(
            embedding_size=FACTORS,
            epochs=ITERATIONS,
            regularization=settings["regularisation"],
            weight=settings["confidence"],
            user_embeddings="prefer",
        ),
    )


def lenskit_ease(events: Events, settings: Settings) -> Recommend:
    """EASE^R of LensKit."""
    from lenskit.knn import EASEScorer

    return of_lenskit(events, EASEScorer(regularization=settings["regularisation"]))


PEERS: dict[str, Callable[[Events, Settings], Recommend]] = {
    "popularity": popularity,
    "popularity_decayed": popularity,
    "own_frequency": own_frequency,
    "implicit_item_knn": item_knn,
    "implicit_als": als,
    "implicit_bpr": bpr,
    "lenskit_item_knn": lenskit_item_knn,
    "lenskit_als": lenskit_als,
    "lenskit_ease": lenskit_ease,
    "ease": ease,
}
GRIDS: dict[str, dict[str, list[Any]]] = {
    "popularity": {},
    "popularity_decayed": {"half_life_days": [3, 7, 14, 28, 56]},
    "own_frequency": {"half_life_days": [30, 60, 120, 240, 480]},
    "implicit_item_knn": {
        "kind": ["cosine", "tfidf", "bm25"],
        "neighbours": [20, 100, 500],
        "value": ["binary", "log", "count"],
    },
    "implicit_als": {
        "regularisation": [0.01, 1.0, 10.0, 100.0],
        "confidence": [1.0, 2.0, 5.0, 20.0],
        "value": ["binary", "log"],
    },
    "implicit_bpr": {
        "iterations": [100],
        "learning_rate": [0.003, 0.01, 0.05],
        "regularisation": [0.001, 0.01],
    },
    "lenskit_item_knn": {"neighbours": [20, 100]},
    "lenskit_als": {"regularisation": [10.0, 100.0], "confidence": [1.0, 5.0]},
    "lenskit_ease": {"regularisation": [100.0, 300.0, 1000.0, 3000.0]},
    "ease": {"regularisation": [100.0, 300.0, 1000.0, 3000.0], "value": ["binary", "log"]},
}


def grid_of(peer: str) -> list[Settings]:
    """Return all settings to be tried for a peer."""
    grid = GRIDS[peer]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


# --- quality on the inner split -------------------------------------------------------------------


def inner_split(events: Events, age_days: float, min_users: int) -> tuple[Events, sparse.csr_matrix]:
    """Split the events before the wall at an age, with the rules of the outer split.

    Returns:
        The older events of items with enough users, with the same indices, and the matrix users x items of
        what came after them: items with enough users, users with older events.
    """
    older = events.age_days >= age_days
    before = sparse.csr_matrix(
        (np.ones(older.sum(), np.float32), (events.user[older], events.item[older])),
        shape=(events.users, events.items),
    )
    before.sum_duplicates()
    supported = before.getnnz(axis=0) >= min_users
    known = before.getnnz(axis=1) > 0
    keep = older & supported[events.item]
    later = ~older & supported[events.item] & known[events.user]
    relevant = sparse.csr_matrix(
        (np.ones(later.sum(), np.float32), (events.user[later], events.item[later])), shape=before.shape
    )
    relevant.data[:] = 1
    kept = Events(events.user[keep], events.item[keep], events.age_days[keep] - age_days, *before.shape)
    return kept, relevant


def ndcg(lists: np.ndarray, relevant: sparse.csr_matrix, k: int = 20) -> float:
    """Return the mean NDCG@k of the users with a relevant item; the ideal has min(relevant items, k) hits."""
    relevant_items = relevant.getnnz(axis=1)
    users = np.flatnonzero(relevant_items)
    top = lists[users, :k]
    hits = np.zeros(top.shape)
    rows, ranks = np.nonzero(top >= 0)
    hits[rows, ranks] = np.asarray(relevant[users[rows], top[rows, ranks]]).ravel() > 0
    discounts = 1 / np.log2(np.arange(k) + 2)
    ideal = np.cumsum(discounts)[np.minimum(relevant_items[users], k) - 1]
    return float((hits @ discounts[: hits.shape[1]] / ideal).mean())


def tune(peer: str, folder: Path) -> dict[str, Any]:
    """Try the settings of a peer on the inner split; the best by list, and all of them."""
    described = json.loads((folder / "data.json").read_text())
    events, relevant = inner_split(read_events(folder), described["inner_age_days"], min_users=10)
    new = relevant - relevant.multiply(events.matrix())
    new.eliminate_zeros()
    fit = PEERS[peer]
    if fit in (ease, lenskit_ease):
        # LensKit's is the script with values of 0 and 1.
        fit = ease_by_users if events.users < events.items else ease
    tried = []
    for settings in grid_of(peer):
        recommend = fit(events, settings)
        tried.append(
            {
                "settings": settings,
                "for_you": round(ndcg(recommend(20, False), relevant), 5),
                "discover": round(ndcg(recommend(20, True), new), 5),
            }
        )
        print(tried[-1], file=sys.stderr, flush=True)
    return {
        "best": {name: max(tried, key=lambda entry: entry[name])["settings"] for name in LISTS},
        "tried": tried,
    }


# --- one run, measured ----------------------------------------------------------------------------


def read_events(folder: Path) -> Events:
    """Read the events of a data set."""
    table = pq.read_table(folder / "train.parquet")
    return Events(
        table["user_index"].to_numpy(),
        table["item_index"].to_numpy(),
        table["age_days"].to_numpy(),
        pq.read_metadata(folder / "users.parquet").num_rows,
        pq.read_metadata(folder / "items.parquet").num_rows,
    )


class Clock:
    """Processor and wall seconds by step, of this process and of those that it waited for."""

    def __init__(self) -> None:
        """Start the clock."""
        self.steps: dict[str, dict[str, float]] = {}
        self._last = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used), time.perf_counter()

    def step(self, name: str) -> None:
        """Write what passed since the last step to the account of this one."""
        now = self._now()
        account = self.steps.setdefault(name, {"cpu_seconds": 0.0, "seconds": 0.0})
        account["cpu_seconds"] += now[0] - self._last[0]
        account["seconds"] += now[1] - self._last[1]
        self._last = now


def measure(peer: str, folder: Path, settings: dict[str, Settings], length: int, out: Path) -> dict[str, Any]:
    """Fit a peer, recommend to everybody, write the lists; what each step took.

    Where the best settings differ between the lists, the peer is fitted twice.
    """
    clock = Clock()
    events = read_events(folder)
    clock.step("read")
    lists: dict[str, np.ndarray] = {}
    fitted = None
    for name in LISTS:
        if settings[name] != fitted:
            recommend = PEERS[peer](events, settings[name])
            fitted = settings[name]
            clock.step(f"fit {name}")
        lists[name] = recommend(length, name == "discover")
        clock.step(f"recommend {name}")
    write_lists(peer, lists, folder, out)
    clock.step("write")
    return {"steps": clock.steps, "settings": settings, "length": length}


def write_lists(peer: str, lists: dict[str, np.ndarray], folder: Path, out: Path) -> None:
    """Write lists as one row per strategy, list, user and rank."""
    user_keys = pq.read_table(folder / "users.parquet", columns=["user_key"])["user_key"].combine_chunks()
    item_ids = pq.read_table(folder / "items.parquet", columns=["item_id"])["item_id"].combine_chunks()
    tables = []
    for name, found in lists.items():
        users, ranks = np.nonzero(found >= 0)
        tables.append(
            pa.table(
                {
                    "strategy": pa.array([peer]).take(pa.array(np.zeros(len(users), np.int8))),
                    "list": pa.array([name]).take(pa.array(np.zeros(len(users), np.int8))),
                    "user_key": user_keys.take(pa.array(users)),
                    "rank": pa.array(ranks + 1),
                    "item_id": item_ids.take(pa.array(found[users, ranks])),
                }
            )
        )
    pq.write_table(pa.concat_tables(tables), out)


def main() -> None:
    """Run what compare.py asks for and write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("measure", "tune"))
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--settings", type=json.loads)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--lists", type=Path)
    parser.add_argument("--result", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.task == "tune":
        result = tune(arguments.peer, arguments.folder)
    else:
        result = measure(
            arguments.peer, arguments.folder, arguments.settings, arguments.length, arguments.lists
        )
    arguments.result.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
