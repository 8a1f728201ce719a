"""Top items against a full sort, ties, and what must never come."""

import numpy as np
import pytest
from scipy import sparse

from manyfaces.recommendations.top_items import rank_blocks, top_columns, top_entries


def by_full_sort(scores: np.ndarray, count: int) -> list[tuple[int, int, float]]:
    rounded = np.round(scores.astype(np.float64), 6)
    found = []
    for row, values in enumerate(rounded):
        order = sorted(range(len(values)), key=lambda column, values=values: (-values[column], column))
        found += [(row, column, values[column]) for column in order[:count] if values[column] > 0]
    return found


@pytest.mark.parametrize("count", [1, 4, 50, 80])
def test_equals_a_full_sort_with_many_ties(count):
    scores = np.random.default_rng(0).integers(-3, 6, (40, 50)) / 4
    row, column, value = top_columns(scores.astype(np.float32), count)
    assert list(zip(row, column, value, strict=True)) == by_full_sort(scores, count)


def test_scores_that_differ_after_the_sixth_digit_are_a_tie():
    _, column, value = top_columns(np.array([[0.5, 0.50000004, 0.500002]]), 3)
    assert column.tolist() == [2, 0, 1]
    assert value.tolist() == [0.500002, 0.5, 0.5]


def test_entries_rank_like_columns():
    scores = np.random.default_rng(1).integers(-3, 6, (20, 15)) / 4
    row, column = np.nonzero(np.ones_like(scores))
    shuffled = np.random.default_rng(2).permutation(len(row))
    entries = top_entries(row[shuffled], column[shuffled], scores[row, column][shuffled], 4)
    for found, expected in zip(entries, top_columns(scores, 4), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_new_and_known_lists_are_apart_and_hold_only_allowed_items():
    generator = np.random.default_rng(5)
    scores = generator.random((30, 25)).astype(np.float32)
    seen = sparse.csr_array((generator.random((30, 25)) < 0.4).astype(np.float32))
    allowed = generator.random(25) < 0.8
    blocks = ((start, scores[start : start + 8].copy()) for start in range(0, 30, 8))
    found = rank_blocks(blocks, seen, seen, allowed, 4)
    for user in range(30):
        for is_repeat in (False, True):
            rows = (found["user_index"] == user) & (found["is_repeat"] == is_repeat)
            usable = allowed & (seen.toarray()[user] > 0 if is_repeat else seen.toarray()[user] == 0)
            expected = by_full_sort(np.where(usable, scores[user], -1)[None], 4)
            assert found["item_index"][rows].tolist() == [column for _, column, _ in expected]
            assert found["score"][rows].tolist() == [value for _, _, value in expected]


def test_seen_pairs_that_are_stored_as_zero_still_count_as_seen():
    seen = sparse.csr_array((np.zeros(1), ([0], [1])), shape=(1, 2))
    found = rank_blocks([(0, np.array([[0.5, 0.9]]))], seen, seen, np.ones(2, bool), 2)
    assert dict(zip(found["item_index"].tolist(), found["is_repeat"].tolist(), strict=True)) == {
        0: False,
        1: True,
    }


def test_unscored_items_beyond_the_block_are_left_out():
    seen = sparse.csr_array(np.array([[0, 1, 1]], np.float32))
    found = rank_blocks([(0, np.array([[0.2, 0.3]]))], seen, seen, np.ones(3, bool), 3)
    assert found["item_index"].tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_nothing_to_rank(shape):
    assert [len(part) for part in top_columns(np.empty(shape), 3)] == [0, 0, 0]
    assert (
        len(
            rank_blocks([], sparse.csr_array(shape), sparse.csr_array(shape), np.ones(shape[1], bool), 3)[
                "score"
            ]
        )
        == 0
    )


def test_an_item_that_was_met_and_not_liked_comes_neither_as_new_nor_again():
    liked = sparse.csr_array(np.array([[1.0, 0, 0]]))
    seen = sparse.csr_array(np.array([[1.0, 1, 0]]))
    found = rank_blocks([(0, np.array([[0.1, 0.9, 0.5]]))], liked, seen, np.ones(3, bool), 3)
    assert found["item_index"].tolist() == [2, 0]
    assert found["is_repeat"].tolist() == [False, True]


def test_liked_items_are_never_new_even_if_nobody_calls_them_seen():
    liked = sparse.csr_array(np.array([[1.0, 0]]))
    seen = sparse.csr_array((1, 2))
    found = rank_blocks([(0, np.array([[0.9, 0.5]]))], liked, seen, np.ones(2, bool), 2)
    assert found["item_index"].tolist() == [1, 0]
    assert found["is_repeat"].tolist() == [False, True]


def test_the_bound_of_wide_rows_loses_no_score_that_rounds_to_a_tie():
    random = np.random.default_rng(7)
    scores = random.integers(1, 40, (30, 3000)) / 1000 + random.uniform(-4e-7, 4e-7, (30, 3000))
    scores[3] = -1
    scores[4, 10:] = -np.inf
    row, column, value = top_columns(scores, 6)
    assert list(zip(row, column, value, strict=True)) == by_full_sort(scores, 6)
