"""Content candidates: nearest texts, one item per text, reasons that are the user's own."""

import numpy as np
import pytest
from scipy import sparse

from manyfaces.recommendations.content import (
    common_direction,
    content_candidates,
    fair_rows,
    without_direction,
)

# Texts 0 and 1 are near to each other, 2 is nearer to 1 than to 0, 3 to 5 are their opposites. They have
# length 1 and sum 0 in the first two dimensions; the third is what all of them share.
NEAR = np.array([[1, 0], [0.8, 0.6], [0, 1]])
TEXTS = np.column_stack([np.vstack([NEAR, -NEAR]), np.full(6, 3)]).astype(np.float32)
# Items by falling use: 0 and 3 share text 0, 1 and 4 share text 1, 2 has text 2, 5 text 3, 6 no text.
ITEM_TEXTS = np.array([0, 1, 2, 0, 1, 3, -1])


def candidates(user_vectors, affinities, allowed=None, seen=None, count=5, **options):
    matrix = sparse.csr_array(np.asarray(affinities, np.float32))
    allowed = np.ones(len(ITEM_TEXTS), bool) if allowed is None else np.asarray(allowed)
    seen = matrix if seen is None else sparse.csr_array(np.asarray(seen))
    user_vectors = np.asarray(user_vectors, np.float32)
    user_vectors = np.column_stack([user_vectors, np.full(len(user_vectors), 3)])  # what all share, again
    found = content_candidates(user_vectors, TEXTS, ITEM_TEXTS, matrix, seen, allowed, count=count, **options)
    return list(zip(*(values.tolist() for values in found.values()), strict=True))


def test_golden_cosines_one_item_per_text_and_the_nearest_own_item_as_reason():
    found = candidates([[2, 0]], [[1.0, 0, 0.5, 0, 0, 0, 0]])
    assert found == [
        (0, 3, 1.0, 0),  # item 0 of the text is known: the next of the same text comes
        (0, 1, 0.8, 0),  # item 4 has the same text: it does not come as well
    ]  # text 2 is used up by item 2, text 3 points away


def test_evidence_is_the_nearest_own_item_and_not_the_strongest():
    found = candidates([[1, 1]], [[0.1, 0, 3.0, 0, 0, 0, 0]])
    assert {item: reason for _, item, _, reason in found} == {1: 0, 3: 0}
    found = candidates([[1, 1]], [[0, 3.0, 0, 0, 0, 0.1, 0]])
    assert {item: reason for _, item, _, reason in found} == {0: 1, 4: 1, 2: 1}


def test_evidence_comes_only_from_the_twenty_strongest_own_items():
    item_texts = np.arange(25)
    vectors = np.eye(25, dtype=np.float32)
    affinities = np.linspace(2, 1, 25)[None]
    affinities[0, 24] = 0
    user = vectors[24] + vectors[23]
    vectors[24] = user / np.sqrt(2)
    matrix = sparse.csr_array(affinities)
    found = content_candidates(user[None], vectors, item_texts, matrix, matrix, np.ones(25, bool), count=3)
    assert found["item_index"].tolist() == [24]
    assert found["evidence_item_index"][0] < 20  # item 23 is nearer, but 24th by affinity


def test_inactive_seen_and_textless_items_never_come():
    allowed = [True, False, True, True, True, True, False]
    found = candidates([[1, 0.4]], [[1.0, 0, 0, 0, 0, 0, 2.0]], allowed=allowed)
    assert sorted(item for _, item, _, _ in found) == [2, 3, 4]


def test_pairs_seen_without_affinity_do_not_come():
    seen = [[0, 1, 0, 1, 1, 0, 0]]
    found = candidates([[1, 0.4]], [[1.0, 0, 0, 0, 0, 0, 0]], seen=np.array(seen))
    assert [item for _, item, _, _ in found] == [0, 2]


def test_user_with_vector_but_without_own_items_has_no_evidence():
    found = candidates([[2, 0.1]], [[0.0] * 7])
    assert {reason for *_, reason in found} == {-1}
    assert [item for _, item, _, _ in found] == [0, 1, 2]


@pytest.mark.filterwarnings("error")
def test_zero_vectors_and_empty_inputs():
    assert candidates([[0, 0]], [[1.0, 0, 0, 0, 0, 0, 0]]) == []
    assert candidates(np.zeros((0, 2)), np.zeros((0, 7))) == []
    assert candidates([[1, 0]], [[0.0] * 7], allowed=np.zeros(7, bool)) == []


def test_blocks_do_not_change_the_result():
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((23, 2))
    affinities = generator.random((23, 7)) * (generator.random((23, 7)) < 0.4)
    assert candidates(vectors, affinities, block_rows=5) == candidates(vectors, affinities)
    counts = np.unique([(user, item) for user, item, *_ in candidates(vectors, affinities)], axis=0)
    assert len(counts) == len(candidates(vectors, affinities))


def test_common_direction_is_taken_out_whatever_the_length_of_the_vectors():
    direction = common_direction(TEXTS)
    np.testing.assert_allclose(direction, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(without_direction(5 * TEXTS[:3], direction)[:, :2], NEAR, atol=1e-6)


def test_what_holds_only_the_common_direction_becomes_zero_and_not_noise():
    direction = common_direction(np.random.default_rng(0).random((9, 5)).astype(np.float32))
    assert not without_direction(3 * direction[None], direction).any()


def test_one_text_keeps_its_direction():
    assert not common_direction(TEXTS[:1]).any()
    np.testing.assert_allclose(np.linalg.norm(without_direction(TEXTS[:1], np.zeros(3))), 1, atol=1e-6)


def test_every_interest_gives_its_share_and_an_item_comes_once():
    rows, owners = np.repeat([0, 1], 10), np.zeros(2, int)
    scores = np.concatenate([np.linspace(1, 0.9, 10), np.linspace(0.5, 0.4, 10)])
    kept = fair_rows(rows, np.arange(20), scores, owners, np.array([0.75, 0.25]), 8)
    assert np.bincount(rows[kept]).tolist() == [6, 2]
    assert (np.diff(scores[kept]) <= 0).all()
    # The first two finds of either are the same items: they count for both.
    items = np.concatenate([np.arange(10), [0, 1], np.arange(12, 20)])
    shared = fair_rows(rows, items, scores, owners, np.ones(2), 8)
    assert sorted(items[shared].tolist()) == [0, 1, 2, 3, 4, 12, 13, 14]


def test_two_interests_of_a_user_both_reach_the_list():
    matrix = sparse.csr_array(np.array([[1.0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0]]))
    vectors = np.array([[1, 0, 3], [-1, 0, 3], [0, 1, 3]], np.float32)
    found = content_candidates(
        vectors, TEXTS, ITEM_TEXTS, matrix, matrix, np.ones(7, bool), count=2, owners=np.array([0, 0, 1])
    )
    lists = list(zip(found["user_index"].tolist(), found["item_index"].tolist(), strict=True))
    assert lists == [(0, 3), (0, 5), (1, 2), (1, 1)]
