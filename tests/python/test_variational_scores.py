"""Scores of the autoencoder against its decoder, and on planted tastes."""

import numpy as np
import pytest
import torch
from planted import hit_share, planted_tastes, popularity_hit_share, scores_of
from scipy import sparse

from manyfaces.embeddings.autoencoder import stored_network
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.variational import MULT_VAE
from manyfaces.embeddings.networks import VariationalAutoencoder
from manyfaces.recommendations.variational import score_blocks


def history_of(matrix: sparse.csr_array) -> UserHistory:
    users, items = matrix.shape
    return UserHistory(
        item_ids=np.array([f"i{number:03}" for number in range(items)], dtype=np.str_),
        matrix=matrix,
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((users, 0), np.float32),
        sequence_items=np.zeros(0, np.int64),
        sequence_offsets=np.zeros(users + 1, np.int64),
    )


@pytest.fixture(scope="module")
def fitted():
    before, after, _ = planted_tastes()
    history = history_of(before)
    parameters = MULT_VAE.Parameters(
        hidden_dims=(16,), latent_dims=4, max_epochs=60, learning_rate=0.01, batch_size=64, max_items=110
    )
    return history, after, MULT_VAE.fit(history, parameters)


def test_scores_are_the_decoded_shares_over_chance(fitted):
    history, _, artifact = fitted
    found = scores_of(score_blocks(history.matrix, history.item_ids, artifact, block_users=70))
    network = stored_network(artifact, VariationalAutoencoder)
    rows = torch.from_numpy(history.aligned(artifact.arrays["item_ids"]).matrix.toarray())
    with torch.inference_mode():
        shares = torch.softmax(network(rows)[0], dim=1).numpy()
    known = np.isin(history.item_ids, artifact.arrays["item_ids"])
    assert known.sum() == 110
    np.testing.assert_allclose(found[:, known], shares * 110, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 110, rtol=1e-4)


def test_planted_tastes_are_found(fitted):
    history, after, artifact = fitted
    found = scores_of(score_blocks(history.matrix, history.item_ids, artifact))
    assert hit_share(found, history.matrix, after) > 1.2 * popularity_hit_share(history.matrix, after)


def test_items_are_found_by_their_ids_in_another_order(fitted):
    history, _, artifact = fitted
    straight = scores_of(score_blocks(history.matrix, history.item_ids, artifact))
    turned = sparse.csr_array(history.matrix[:, ::-1])
    reverse = scores_of(score_blocks(turned, history.item_ids[::-1], artifact))
    np.testing.assert_allclose(reverse[:, ::-1], straight, rtol=1e-5)


def test_an_autoencoder_that_was_fitted_on_nothing_scores_nothing():
    matrix = sparse.csr_array((3, 0), dtype=np.float32)
    artifact = MULT_VAE.fit(history_of(matrix), MULT_VAE.Parameters())
    wide = history_of(sparse.csr_array(np.ones((3, 2), np.float32)))
    assert not scores_of(score_blocks(wide.matrix, wide.item_ids, artifact)).any()


def test_from_nothing_that_the_fit_knew_nothing_is_recommended(fitted):
    history, _, artifact = fitted
    unknown = np.flatnonzero(~np.isin(history.item_ids, artifact.arrays["item_ids"]))
    rows = sparse.csr_array(
        (np.ones(2, np.float32), ([0, 2], [unknown[0], 0])), shape=(3, len(history.item_ids))
    )
    found = scores_of(score_blocks(rows, history.item_ids, artifact))
    assert found.any(axis=1).tolist() == [False, False, True]
