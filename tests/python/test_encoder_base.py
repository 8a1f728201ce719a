import numpy as np
from scipy import sparse

from manyfaces.embeddings.encoders.base import UserHistory


def history():
    return UserHistory(
        item_ids=np.array(["a", "b", "c"]),
        matrix=sparse.csr_array(np.array([[1, 2, 0], [0, 0, 3]], np.float32)),
        feature_names=np.array([], dtype=str),
        features=np.zeros((2, 0), np.float32),
        sequence_items=np.array([1, 0, 1, 2]),
        sequence_offsets=np.array([0, 3, 4]),
    )


def test_a_history_is_read_through_the_items_of_an_earlier_training():
    seen = history().aligned(np.array(["c", "x", "b"]))
    assert seen.matrix.toarray().tolist() == [[0, 0, 2], [3, 0, 0]]
    assert seen.sequence_items.tolist() == [2, 2, 0]
    assert seen.sequence_offsets.tolist() == [0, 2, 3]


def test_the_same_items_change_nothing():
    before = history()
    assert before.aligned(before.item_ids) is before


def test_a_training_on_no_items_leaves_nothing():
    seen = history().aligned(np.array([], dtype=str))
    assert seen.matrix.shape == (2, 0)
    assert seen.sequence_offsets.tolist() == [0, 0, 0]
