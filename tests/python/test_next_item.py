"""Scores of the next item against a network's own guess, and on a planted order."""

import numpy as np
import pytest
import torch
from planted import scores_of
from scipy import sparse

from manyfaces.embeddings.encoders import sequence
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.recommendations.next_item import score_blocks

ITEMS, USERS = 20, 200


def history_of(sequences: list[list[int]], items: int = ITEMS) -> UserHistory:
    return UserHistory(
        item_ids=np.array([f"i{number:03}" for number in range(items)], dtype=np.str_),
        matrix=sparse.csr_array((len(sequences), items), dtype=np.float32),
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((len(sequences), 0), np.float32),
        sequence_items=np.array([item for entry in sequences for item in entry], np.int64),
        sequence_offsets=np.cumsum([0, *(len(entry) for entry in sequences)]),
    )


@pytest.fixture(scope="module")
def sequences() -> list[list[int]]:
    """Every item is followed by the next number; users begin and stop anywhere, some have nothing."""
    random = np.random.default_rng(1)
    starts, lengths = random.integers(0, ITEMS, USERS), random.integers(4, 15, USERS)
    lengths[[0, 77]] = 0
    return [
        [(start + step) % ITEMS for step in range(length)]
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


@pytest.fixture(scope="module", params=["transformer", "gru"])
def fitted(request, sequences):
    parameters = sequence.Parameters(
        architecture=request.param,
        dims=16,
        layers=1,
        max_length=8,
        max_epochs=40,
        learning_rate=0.01,
        batch_size=32,
        warmup_steps=10,
        item_dropout=0,
        dropout=0,
    )
    return sequence.fit(history_of(sequences), parameters)


def test_the_planted_next_item_is_first(fitted, sequences):
    found = scores_of(score_blocks(history_of(sequences), fitted, block_users=64))
    known = np.array([len(entry) > 0 for entry in sequences])
    wanted = np.array([(entry[-1] + 1) % ITEMS if entry else -1 for entry in sequences])
    assert (found.argmax(axis=1)[known] == wanted[known]).mean() > 0.9
    assert not found[~known].any()
    np.testing.assert_allclose(found[known].sum(axis=1), ITEMS, rtol=1e-4)


def test_scores_are_those_of_the_network_for_one_user(fitted, sequences):
    history = history_of(sequences).aligned(fitted.arrays["item_ids"])
    found = scores_of(score_blocks(history_of(sequences), fitted))
    network = sequence._restored(fitted, sequence.Parameters(**fitted.meta["parameters"]))
    masked = fitted.meta["parameters"]["architecture"] == "transformer"
    user = int(np.argmax([len(entry) for entry in sequences]))
    own = history.sequence_items[history.sequence_offsets[user] : history.sequence_offsets[user + 1]]
    row = np.append(own[-7:], network.mask) if masked else own[-8:]
    with torch.inference_mode():
        states = network(torch.from_numpy(row[None].astype(np.int64)), torch.tensor([len(row)]))
        shares = network.scores(states[0, -1]).softmax(dim=0).numpy()
    columns = [history_of([]).item_ids.tolist().index(item) for item in fitted.arrays["item_ids"]]
    np.testing.assert_allclose(found[user, columns], shares * ITEMS, rtol=1e-3, atol=1e-4)


def test_blocks_do_not_change_the_result(fitted, sequences):
    history = history_of(sequences)
    small, large = (scores_of(score_blocks(history, fitted, block_users=size)) for size in (33, 1000))
    np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-5)


def test_unknown_items_and_an_untrained_network_score_nothing(sequences):
    wide = history_of(sequences, ITEMS + 3)
    untrained = sequence.fit(history_of([[], [1]]), sequence.Parameters())
    assert not scores_of(score_blocks(wide, untrained)).any()
