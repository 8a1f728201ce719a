"""Worked examples of the articles that the methods come from, with their arithmetic put right."""

import numpy as np
import pytest
import torch
from scipy import sparse

from manyfaces.embeddings.autoencoder import VaeParameters, encode, fit_vae, kl_divergence
from manyfaces.embeddings.factors import factorise
from manyfaces.recommendations import ease
from manyfaces.recommendations.top_items import rank_blocks
from manyfaces.recommendations.user_neighbours import nearest_neighbours, score_blocks

# Items 1 to 10 that each of three users has; user 1 of the article and two neighbours.
BASKETS = [[1, 3, 5, 7, 9], [1, 2, 4, 6, 8], [2, 3, 5, 7, 9, 10]]


@pytest.fixture
def baskets() -> sparse.csr_array:
    matrix = np.zeros((3, 10))
    for user, items in enumerate(BASKETS):
        matrix[user, np.array(items) - 1] = 1
    return sparse.csr_array(matrix)


class TestUserBasedFiltering:
    """The article on K-means and user-based collaborative filtering."""

    def test_predicted_rating_is_the_weighted_mean(self):
        """Similarities 0.8 and 0.2, ratings 0.2 and 0.8: (0.16 + 0.16) / 1.0, not 0.4 as printed."""
        neighbours = sparse.csr_array([[0, 0.8, 0.2], [0, 0, 0], [0, 0, 0]])
        [(_, scores)] = score_blocks(sparse.csr_array([[0], [0.2], [0.8]]), neighbours)
        np.testing.assert_allclose(scores[0], [0.32])

    def test_neighbours_are_the_most_similar_and_never_the_user(self, baskets):
        """An ascending argsort takes the least similar ones, and drops the wrong end."""
        cosines = nearest_neighbours(baskets, 2).toarray()
        np.testing.assert_allclose(cosines[0], [0, 0.2, 0.7303], atol=5e-5)
        assert not cosines.diagonal().any()
        assert nearest_neighbours(baskets, 1)[[0]].indices.tolist() == [2]

    def test_scores_are_one_number_per_item(self, baskets):
        [(_, scores)] = score_blocks(baskets, nearest_neighbours(baskets, 2))
        expected = [0.215, 1, 0.785, 0.215, 0.785, 0.215, 0.785, 0.215, 0.785, 0.785]
        np.testing.assert_allclose(scores[0], expected, atol=5e-4)


def test_items_in_the_history_never_come_as_new(baskets):
    """The article on content and collaborative recommendation lists what the user has already bought."""
    matrix = baskets.astype(np.float32)
    found = rank_blocks(ease.score_blocks(matrix, 1.0, 100), matrix, matrix, np.ones(10, bool), 10)
    new = ~found["is_repeat"]
    for user, items in enumerate(BASKETS):
        mine = found["user_index"] == user
        assert not set(found["item_index"][mine & new] + 1) & set(items)
        assert set(found["item_index"][mine & ~new] + 1) <= set(items)
    assert {2, 10} <= set(found["item_index"][(found["user_index"] == 0) & new] + 1)


BERNOULLI = VaeParameters(
    likelihood="bernoulli",
    hidden_dims=(8,),
    latent_dims=3,
    dropout=0.1,
    max_epochs=3,
    patience=3,
    max_beta=1.0,
    learning_rate=0.01,
    max_training_rows=1000,
    seed=1,
)


class TestVariationalAutoencoder:
    """The article on VAE and DBSCAN segments."""

    def test_kl_divergence_has_the_closed_form(self):
        """-1/2 sum(1 + log variance - mean^2 - exp(log variance)), against torch and by sampling."""
        generator = torch.Generator().manual_seed(0)
        mean = torch.randn((4, 3), generator=generator, dtype=torch.float64)
        log_variance = torch.randn((4, 3), generator=generator, dtype=torch.float64)
        found = kl_divergence(mean, log_variance)
        posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        torch.testing.assert_close(found, torch.distributions.kl_divergence(posterior, prior).sum(-1))
        noise = torch.randn((200_000, 4, 3), generator=generator, dtype=torch.float64)
        sample = mean + noise * posterior.stddev
        estimate = (posterior.log_prob(sample) - prior.log_prob(sample)).sum(-1).mean(0)
        torch.testing.assert_close(found, estimate, rtol=0.02, atol=0.02)

    def test_kl_divergence_of_the_prior_is_zero_and_else_positive(self):
        zeros = torch.zeros(1, 5)
        assert kl_divergence(zeros, zeros).item() == 0
        assert kl_divergence(zeros, zeros + 1).item() > 0
        assert kl_divergence(zeros + 1, zeros).item() == pytest.approx(2.5)

    def test_user_vectors_are_latent_means_and_not_reconstructions(self):
        features = np.random.default_rng(1).random((60, 9)).astype(np.float32)
        artifact = fit_vae(features, BERNOULLI)
        vectors = encode(features, artifact)
        assert vectors.shape == (60, 3)
        np.testing.assert_array_equal(vectors, encode(features, artifact))  # means: nothing is sampled

    @pytest.mark.parametrize("value", [-0.01, 1.01])
    def test_unscaled_inputs_are_refused_by_the_bernoulli_likelihood(self, value):
        features = np.full((20, 4), 0.5, np.float32)
        features[3, 2] = value
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            fit_vae(features, BERNOULLI)


def test_user_factors_times_item_factors_give_back_a_planted_low_rank():
    """The article on group division and SVD takes fit_transform to return U and V: it is U times sigma."""
    generator = np.random.default_rng(2)
    planted = generator.standard_normal((40, 3)) @ generator.standard_normal((3, 25))
    artifact = factorise(sparse.csr_array(planted), 8, seed=7)
    users, items = artifact.arrays["users"], artifact.arrays["items"]
    assert users.shape == (40, 3)
    assert items.shape == (25, 3)
    np.testing.assert_allclose(users @ items.T, planted, atol=1e-4)
