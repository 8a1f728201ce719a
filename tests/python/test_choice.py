"""The rule that chooses the method, and candidates by each of them."""

import numpy as np
import pytest
from planted import planted_tastes
from scipy import sparse

from manyfaces.recommendations import alternating, ease, graph_filter, variational
from manyfaces.recommendations.choice import VERSIONS, Choice, choose_method, collaborative_candidates

LIMITS = {"max_items": 6000, "memory_mb": 1000}
OPTIONS = {"regularisation": 1.0, "max_items": 100, "seed": 7}
METHODS = ["ease_users", "ease_items", "graph_filter", "als"]


@pytest.mark.parametrize(
    ("users", "items", "options", "method", "reason"),
    [
        (
            2461,
            17110,
            {},
            "ease_users",
            "users are fewer than items, and their dense square needs 97 of 1,000 MB",
        ),
        (
            100_000,
            4000,
            {},
            "ease_items",
            "items are not more than users, and their dense square needs 256 of",
        ),
        (5000, 5000, {}, "ease_items", "5,000 users x 5,000 items with 9 entries"),
        (6000, 6000, {}, "ease_items", "576 of 1,000 MB"),
        (6001, 6001, {}, "graph_filter", "above collaborative_max_items, 6,000"),
        (1_000_000, 50_000, {}, "graph_filter", "above collaborative_max_items, 6,000"),
        (
            6000,
            6000,
            {"memory_mb": 500},
            "graph_filter",
            "needs 576 MB, above the 500 MB of collaborative_memory_mb",
        ),
        (9000, 9000, {"asked": "ease"}, "ease_items", "collaborative_method asks for it"),
        (10, 9000, {"asked": "ease"}, "ease_users", "collaborative_method asks for it"),
        (10, 10, {"asked": "als"}, "als", "collaborative_method asks for it"),
        (10, 10, {"asked": "variational"}, "variational", "collaborative_method asks for it"),
        (0, 0, {}, "ease_items", "0 users x 0 items"),
    ],
)
def test_rule(users, items, options, method, reason):
    found = choose_method(users, items, 9, **(LIMITS | options))
    assert found.method == method
    assert reason in found.reason


def test_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no method 'svd'.*graph_filter"):
        choose_method(1, 1, 1, asked="svd", **LIMITS)


def test_versions_are_those_of_the_methods():
    modules = {"graph_filter": graph_filter, "als": alternating, "variational": variational}
    assert {method: modules.get(method, ease).MODEL_VERSION for method in VERSIONS} == VERSIONS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(40, 20), (20, 40)])
def test_candidates_find_the_planted_taste_and_respect_seen_and_inactive(shape, method):
    users, items = shape
    dense = np.zeros(shape, np.float32)
    dense[: users // 2, : items // 2] = 1
    dense[users // 2 :, items // 2 :] = 1
    dense[0, 0] = 0  # user 0 lacks one item of the own half ...
    dense[1, 1] = dense[1, 2] = 0  # ... user 1 two, of which one is not for sale
    allowed = np.ones(items, bool)
    allowed[2] = False
    matrix = sparse.csr_array(dense)
    found = collaborative_candidates(matrix, matrix, allowed, count=5, choice=Choice(method, ""), **OPTIONS)
    new = ~found["is_repeat"]
    assert found["item_index"][new & (found["user_index"] == 0)][0] == 0
    assert found["item_index"][new & (found["user_index"] == 1)][0] == 1
    assert 2 not in found["item_index"]
    known = matrix.astype(bool).toarray()[found["user_index"], found["item_index"]]
    np.testing.assert_array_equal(known, found["is_repeat"])
    sizes = np.bincount(found["user_index"][~new], minlength=users)
    assert (sizes == 5).all()


def test_the_method_that_is_chosen_is_the_one_that_scores():
    before, _, _ = planted_tastes()
    allowed = np.ones(before.shape[1], bool)
    lists = [
        collaborative_candidates(before, before, allowed, count=5, choice=Choice(method, ""), **OPTIONS)[
            "score"
        ]
        for method in METHODS[1:]
    ]
    given = collaborative_candidates(
        before,
        before,
        allowed,
        count=5,
        choice=Choice("variational", ""),
        decoded=lambda: iter([(0, before.toarray() + 3)]),
        **OPTIONS,
    )["score"]
    heads = [tuple(scores[:3]) for scores in [*lists, given]]
    assert len(set(heads)) == 4
    assert given.min() == 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "matrix",
    [
        sparse.csr_array((0, 0), dtype=np.float32),
        sparse.csr_array((3, 2), dtype=np.float32),
        sparse.csr_array(np.ones((1, 1), np.float32)),
        sparse.csr_array(np.ones((5, 1), np.float32)),
        sparse.csr_array(np.ones((1, 5), np.float32)),
    ],
    ids=["empty", "all zero", "one user and item", "one item", "one user"],
)
@pytest.mark.filterwarnings("error")
def test_tiny_inputs_give_typed_tables(matrix, method):
    allowed = np.ones(matrix.shape[1], bool)
    found = collaborative_candidates(matrix, matrix, allowed, count=3, choice=Choice(method, ""), **OPTIONS)
    assert {name: values.dtype for name, values in found.items()} == {
        "user_index": np.int32,
        "item_index": np.int32,
        "score": np.float64,
        "is_repeat": bool,
    }
    assert not (~found["is_repeat"]).any()
