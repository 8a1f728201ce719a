from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from manyfaces.embeddings.autoencoder import VaeParameters, encode, fit_vae
from manyfaces.embeddings.networks import VariationalAutoencoder, kl_divergence
from manyfaces.store import Artifact, ArtifactStore

PARAMETERS = VaeParameters(
    likelihood="multinomial",
    hidden_dims=(32,),
    latent_dims=6,
    dropout=0.5,
    max_epochs=40,
    patience=6,
    max_beta=0.2,
    learning_rate=0.01,
    max_training_rows=1000,
    seed=7,
    batch_size=64,
)


def planted(users=600, items=200, groups=4, seed=1):
    """Users that mostly take items of their group; some take many and some few, some items are popular."""
    random = np.random.default_rng(seed)
    labels = np.arange(users) % groups
    fits = labels[:, None] == np.arange(items) % groups
    popularity = random.uniform(0.3, 1.7, items)
    activity = random.choice([0.4, 1.0, 2.2], users)[:, None]
    share = np.where(fits, 0.16, 0.035) * popularity * activity
    return sparse.csr_array((random.random((users, items)) < share) * 1.0), labels


def agreement(vectors, labels):
    found = KMeans(len(set(labels)), n_init=5, random_state=0).fit_predict(vectors)
    return adjusted_rand_score(labels, found)


@pytest.fixture(scope="module")
def fitted():
    matrix, labels = planted()
    return matrix, labels, fit_vae(matrix, PARAMETERS)


def test_kl_divergence_equals_torch_and_is_zero_only_for_the_standard_normal():
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    reference = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum(dim=-1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), reference)
    assert (reference > 0).all()
    assert kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]


def test_loss_falls_and_the_latent_space_is_used(fitted):
    _, _, artifact = fitted
    log = artifact.meta["log"]
    assert set(log[0]) == {
        "epoch",
        "train_loss",
        "reconstruction_loss",
        "kl_divergence",
        "validation_loss",
        "beta",
        "learning_rate",
    }
    assert [entry["epoch"] for entry in log] == list(range(1, len(log) + 1))
    assert log[-1]["reconstruction_loss"] < log[0]["reconstruction_loss"]
    assert all(entry["kl_divergence"] > 0 for entry in log)
    assert log[0]["beta"] < log[-1]["beta"] <= PARAMETERS.max_beta
    entry = log[-1]
    assert entry["train_loss"] >= entry["reconstruction_loss"]
    assert artifact.meta["metrics"]["active_latent_dims"] >= 3


def test_latent_means_show_planted_groups_better_than_raw_rows(fitted):
    matrix, labels, artifact = fitted
    latent = encode(matrix, artifact)
    assert agreement(latent, labels) > agreement(matrix.toarray(), labels) + 0.3
    assert agreement(latent, labels) > 0.6


def test_held_out_items_rank_better_than_by_popularity(fitted):
    metrics = fitted[2].meta["metrics"]
    assert metrics["validation_ndcg_at_100"] > 1.2 * metrics["popularity_ndcg_at_100"] > 0


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(fitted):
    matrix, _, artifact = fitted
    torch.manual_seed(99)  # the global generator has no influence
    again = fit_vae(matrix, PARAMETERS)
    assert again.meta["log"] == artifact.meta["log"]
    np.testing.assert_array_equal(encode(matrix, again), encode(matrix, artifact))
    other = fit_vae(matrix, replace(PARAMETERS, seed=8, max_epochs=2))
    assert not np.array_equal(encode(matrix, other), encode(matrix, artifact))


def test_global_random_state_and_thread_number_are_left_alone():
    matrix, _ = planted(60, 20)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    encode(matrix, fit_vae(matrix, replace(PARAMETERS, max_epochs=2)))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_stored_weights_reproduce_the_vectors_without_training(fitted, tmp_path):
    matrix, _, artifact = fitted
    store = ArtifactStore(tmp_path)
    stored = store.fit("vae", "key", lambda: Artifact(artifact.arrays, dict(artifact.meta)))
    np.testing.assert_array_equal(encode(matrix, stored), encode(matrix, artifact))
    np.testing.assert_array_equal(encode(matrix[5:9], stored), encode(matrix, artifact)[5:9])


def test_the_weights_of_the_best_epoch_are_kept():
    random = np.random.default_rng(2)
    rows = random.normal(size=(9, 5)).astype(np.float32)  # too few to leave any out: they validate themselves
    # A wild learning rate makes later epochs worse.
    wild = replace(PARAMETERS, likelihood="gaussian", learning_rate=1.0, patience=3, max_beta=0.0)
    artifact = fit_vae(rows, wild)
    log, metrics = artifact.meta["log"], artifact.meta["metrics"]
    assert metrics["best_epoch"] < metrics["epochs"] == len(log) < wild.max_epochs
    model = VariationalAutoencoder(5, "gaussian", (32,), 6, 0.5)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in artifact.arrays.items()})
    decoded = model.eval()(torch.from_numpy(rows))[0].detach().numpy()
    loss = 0.5 * np.square(decoded - rows).sum(axis=1).mean()
    assert loss == pytest.approx(log[metrics["best_epoch"] - 1]["validation_loss"], abs=1e-4)
    assert loss < log[-1]["validation_loss"]


def test_dense_rows_are_validated_with_the_final_weight_of_the_divergence():
    rows = np.random.default_rng(2).normal(size=(9, 5)).astype(np.float32)
    # In the first of nine epochs the weight is a third of the final one.
    settings = replace(
        PARAMETERS, likelihood="gaussian", max_beta=0.7, max_epochs=9, patience=1, learning_rate=9.0
    )
    artifact = fit_vae(rows, settings)
    first = artifact.meta["log"][0]
    assert artifact.meta["metrics"]["best_epoch"] == 1
    assert first["beta"] == pytest.approx(0.7 / 3, abs=1e-6)
    model = VariationalAutoencoder(5, "gaussian", (32,), 6, 0.5)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in artifact.arrays.items()})
    decoded, mean, log_variance = model.eval()(torch.from_numpy(rows))
    reconstruction = model.reconstruction_loss(decoded, torch.from_numpy(rows)).mean()
    expected = reconstruction + 0.7 * kl_divergence(mean, log_variance).mean()
    assert first["validation_loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_dropout_shrinks_the_gap_between_training_and_validation():
    random = np.random.default_rng(3)
    noise = sparse.csr_array((random.random((80, 60)) < 0.15) * 1.0)
    free = replace(PARAMETERS, dropout=0.0, max_beta=0.0, max_epochs=60, patience=60)

    def gap(parameters):
        last = fit_vae(noise, parameters).meta["log"][-1]
        per_unit = last["reconstruction_loss"] * 72 / noise.sum() * 80 / 72
        return last["validation_loss"] - per_unit

    overfitted = gap(free)
    assert overfitted > 0.5
    assert gap(replace(free, dropout=0.5, max_beta=0.5)) < overfitted / 2
    assert gap(replace(free, weight_decay=3.0)) < overfitted


def test_dense_features_train_with_the_articles_layers():
    random = np.random.default_rng(5)
    labels = np.arange(300) % 3
    features = np.clip(random.normal(0.2 + 0.3 * labels[:, None] * (np.arange(10) % 3 == 1), 0.1), 0, 1)
    for likelihood in ("bernoulli", "gaussian"):
        parameters = replace(
            PARAMETERS, likelihood=likelihood, hidden_dims=(64, 32), latent_dims=4, dropout=0.1
        )
        artifact = fit_vae(features, parameters)
        log = artifact.meta["log"]
        assert log[-1]["reconstruction_loss"] < log[0]["reconstruction_loss"]
        assert artifact.arrays["encoder.0.weight"].shape == (64, 10)
        assert artifact.arrays["encoder.2.weight"].shape == (32, 64)
        assert encode(features, artifact).shape == (300, 4)


def test_the_vector_is_the_mean_and_not_a_sample_or_the_reconstruction(fitted):
    matrix, _, artifact = fitted
    first = encode(matrix, artifact)
    np.testing.assert_array_equal(first, encode(matrix, artifact))
    assert first.shape == (600, PARAMETERS.latent_dims)
    model = VariationalAutoencoder(200, "multinomial", (32,), 6, 0.5)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in artifact.arrays.items()})
    model.eval()
    _, mean, log_variance = model(torch.from_numpy(matrix.toarray().astype(np.float32)))
    np.testing.assert_allclose(first, mean.detach().numpy(), atol=1e-5)
    assert not np.allclose(first, log_variance.detach().numpy(), atol=0.1)


@pytest.mark.parametrize(
    ("likelihood", "value", "message"),
    [
        ("bernoulli", 1.5, r"within \[0, 1\]"),
        ("bernoulli", -0.1, r"within \[0, 1\]"),
        ("multinomial", -1.0, "at least 0"),
        ("gaussian", np.nan, "not finite"),
        ("other", 0.5, "Unknown likelihood"),
    ],
)
def test_unfit_inputs_are_refused_with_a_reason(likelihood, value, message):
    matrix = np.full((4, 3), 0.5)
    matrix[1, 1] = value
    with pytest.raises(ValueError, match=message):
        fit_vae(matrix, replace(PARAMETERS, likelihood=likelihood))


def test_another_number_of_columns_is_refused(fitted):
    _, _, artifact = fitted
    with pytest.raises(ValueError, match="reads 200 columns, not 7"):
        encode(np.ones((2, 7)), artifact)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1), (1, 5), (5, 1), (12, 4)])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_tiny_and_constant_matrices_do_not_crash(shape, fill):
    matrix = np.full(shape, fill)
    vectors = encode(matrix, fit_vae(matrix, replace(PARAMETERS, max_epochs=3)))
    assert vectors.shape == (shape[0], PARAMETERS.latent_dims)
    assert np.isfinite(vectors).all()


def test_training_reads_a_bounded_number_of_rows_and_encodes_all(fitted):
    matrix, _, _ = fitted
    artifact = fit_vae(matrix, replace(PARAMETERS, max_training_rows=100, max_epochs=2))
    assert artifact.meta["metrics"]["training_rows"] == 90
    assert encode(matrix, artifact).shape[0] == 600
