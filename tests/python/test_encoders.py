"""The encoders of the autoencoder family and the SVD, held to the interface that all encoders share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from manyfaces.embeddings import training
from manyfaces.embeddings.autoencoder import stored_network
from manyfaces.embeddings.encoders import deep_clustering
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.inputs import most_used_items
from manyfaces.embeddings.encoders.registry import ENCODERS
from manyfaces.embeddings.factors import factorise
from manyfaces.embeddings.networks import Autoencoder
from manyfaces.runs import LOG_SCHEMA
from manyfaces.store import Artifact, ArtifactStore

GROUPS = 4
ITEM_KINDS = ["adversarial", "autoencoder", "deep_clustering", "factors", "mult_vae"]
TRAINED_KINDS = ["adversarial", "autoencoder", "deep_clustering", "dense_vae", "mult_vae"]
KINDS = sorted({*ITEM_KINDS, *TRAINED_KINDS})
SMALL = {"max_epochs": 40, "learning_rate": 0.01, "hidden_dims": (24,), "latent_dims": 6, "batch_size": 64}
SETTINGS = dict.fromkeys(TRAINED_KINDS, SMALL) | {
    "deep_clustering": SMALL | {"clusters": 5, "tuning_epochs": 5, "tuning_learning_rate": 0.01},
    "factors": {"dims": 6, "unit_length": True},
}


def planted(users=400, items=60, seed=3):
    """Return users whose group shows in their items and in half of their features, and the groups."""
    random = np.random.default_rng(seed)
    groups = np.arange(users) % GROUPS
    fits = groups[:, None] == np.arange(items) % GROUPS
    share = np.where(fits, 0.4, 0.06) * random.choice([0.5, 1.0, 1.6], users)[:, None]
    means = random.normal(0, 1, (GROUPS, 12)) * (np.arange(12) % 2)
    activity = random.normal(0, 1, (users, 1)) * random.uniform(0.5, 1, 12)
    matrix = sparse.csr_array((random.random((users, items)) < share).astype(np.float32))
    return history(matrix, means[groups] + activity + random.normal(0, 0.4, (users, 12))), groups


def history(matrix, features):
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    features = np.asarray(features, np.float32)
    return UserHistory(
        item_ids=np.array([f"i{number:03}" for number in range(matrix.shape[1])], dtype=np.str_),
        matrix=matrix,
        feature_names=np.array([f"f{number:02}" for number in range(features.shape[1])], dtype=np.str_),
        features=features,
        sequence_items=np.zeros(0, np.int32),
        sequence_offsets=np.zeros(matrix.shape[0] + 1, np.int64),
    )


def fit(kind, data, **changes):
    encoder = ENCODERS[kind]
    return encoder.fit(data, encoder.Parameters(**SETTINGS[kind] | changes))


def encode(kind, data, artifact):
    return ENCODERS[kind].encode(data, artifact)


def agreement(vectors, groups):
    return adjusted_rand_score(groups, KMeans(GROUPS, n_init=5, random_state=0).fit_predict(vectors))


@pytest.fixture(scope="module")
def fitted():
    data, groups = planted()
    return data, groups, {kind: fit(kind, data) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_show_the_planted_groups(fitted, kind):
    data, groups, artifacts = fitted
    vectors = encode(kind, data, artifacts[kind])
    assert vectors.dtype == np.float32
    assert vectors.shape == (400, 6)
    np.testing.assert_array_equal(vectors, vectors.round(6))
    # 0 is chance. The features say less than the items do.
    assert agreement(vectors, groups) > (0.3 if kind == "dense_vae" else 0.6)


def test_the_vectors_of_the_dense_autoencoder_show_groups_better_than_its_features(fitted):
    data, groups, artifacts = fitted
    latent = agreement(encode("dense_vae", data, artifacts["dense_vae"]), groups)
    assert latent > agreement(data.features, groups) + 0.1


@pytest.mark.parametrize("kind", TRAINED_KINDS)
def test_the_loss_falls_and_the_log_fits_its_table(fitted, kind):
    log = fitted[2][kind].meta["log"]
    assert all(set(entry) <= set(LOG_SCHEMA) for entry in log)
    assert [entry["epoch"] for entry in log] == list(range(1, len(log) + 1))
    losses = [entry["reconstruction_loss"] for entry in log if "reconstruction_loss" in entry]
    assert losses[-1] < losses[0]
    has_divergence = kind in ("mult_vae", "dense_vae", "deep_clustering")
    divergences = [entry["kl_divergence"] for entry in log if "kl_divergence" in entry]
    assert bool(divergences) == has_divergence == any("beta" in entry for entry in log)
    assert all(np.isfinite(value) and value > 0 for value in divergences)


@pytest.mark.parametrize("kind", KINDS)
def test_the_artefact_says_how_it_came_about_and_keeps_nothing_of_a_user(fitted, kind):
    artifacts = fitted[2]
    meta, arrays = artifacts[kind].meta, artifacts[kind].arrays
    assert {"algorithm", "parameters", "rows", "metrics", "log"} <= set(meta)
    assert meta["rows"] == 400
    assert set(ENCODERS[kind].Parameters.__dataclass_fields__) <= set(meta["parameters"])
    names = "item_ids" if kind in ITEM_KINDS else "feature_names"
    assert arrays[names].dtype.kind == "U"
    assert not [name for name, array in arrays.items() if 400 in array.shape]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(fitted, kind):
    data, _, artifacts = fitted
    torch.manual_seed(99)  # the global generators have no influence
    np.random.seed(99)  # noqa: NPY002
    expected = encode(kind, data, artifacts[kind])
    again = fit(kind, data)
    assert again.meta["log"] == artifacts[kind].meta["log"]
    np.testing.assert_array_equal(encode(kind, data, again), expected)
    if kind != "factors":  # whose seed only starts an iteration that converges
        other = fit(kind, data, seed=8, max_epochs=1)
        assert not np.array_equal(
            encode(kind, data, other), encode(kind, data, fit(kind, data, max_epochs=1))
        )


@pytest.mark.parametrize("kind", KINDS)
def test_stored_weights_give_the_same_bits_without_training(fitted, kind, tmp_path):
    data, _, artifacts = fitted
    fresh = artifacts[kind]
    stored = ArtifactStore(tmp_path).fit(kind, "key", lambda: Artifact(dict(fresh.arrays), dict(fresh.meta)))
    np.testing.assert_array_equal(encode(kind, data, stored), encode(kind, data, fresh))


@pytest.mark.parametrize("kind", ITEM_KINDS)
def test_later_histories_may_have_other_items_in_another_order(fitted, kind):
    data, _, artifacts = fitted
    order = np.random.default_rng(1).permutation(60)
    later = sparse.hstack([data.matrix[:, order], np.full((400, 3), 9.0)])
    moved = replace(
        history(later, data.features),
        item_ids=np.append(data.item_ids[order], ["new-1", "new-2", "new-3"]),
    )
    expected = encode(kind, data, artifacts[kind])
    np.testing.assert_allclose(encode(kind, moved, artifacts[kind]), expected, atol=2e-6)
    gone = replace(data, item_ids=np.array([f"other-{item}" for item in data.item_ids]))
    vectors = encode(kind, gone, artifacts[kind])
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == 1


def test_later_features_may_come_in_another_order_but_not_lack_one(fitted):
    data, _, artifacts = fitted
    order = np.arange(12)[::-1]
    moved = replace(
        data, feature_names=data.feature_names[order], features=np.ascontiguousarray(data.features[:, order])
    )
    expected = encode("dense_vae", data, artifacts["dense_vae"])
    np.testing.assert_array_equal(encode("dense_vae", moved, artifacts["dense_vae"]), expected)
    fewer = replace(data, feature_names=data.feature_names[:5], features=data.features[:, :5])
    with pytest.raises(ValueError, match="fitted on the feature f05, which is gone"):
        encode("dense_vae", fewer, artifacts["dense_vae"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_is_encoded_alone_as_among_others(fitted, kind):
    data, _, artifacts = fitted
    alone = replace(history(data.matrix[[7]], data.features[[7]]))
    np.testing.assert_allclose(
        encode(kind, alone, artifacts[kind])[0], encode(kind, data, artifacts[kind])[7], atol=2e-6
    )


# --- training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRAINED_KINDS)
def test_early_stopping_stops(kind):
    data, _ = planted(users=60)
    artifact = fit(kind, data, max_epochs=200, patience=2, learning_rate=0.1)
    metrics = artifact.meta["metrics"]
    assert metrics["best_epoch"] == metrics["epochs"] - 2 < 198
    validation = [entry["validation_loss"] for entry in artifact.meta["log"] if "validation_loss" in entry]
    assert min(validation) == pytest.approx(metrics["validation_loss"], rel=2e-4)


def test_schedules_of_the_step_size():
    data, _ = planted(users=60)

    def rates(schedule):
        log = fit("autoencoder", data, schedule=schedule, max_epochs=12, patience=12).meta["log"]
        return [entry["learning_rate"] for entry in log]

    assert set(rates("constant")) == {0.01}
    cosine = rates("cosine")
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[6] == pytest.approx(0.005)
    assert cosine[-1] < 0.0005
    with pytest.raises(ValueError, match="take plateau, cosine or constant"):
        fit("autoencoder", data, schedule="steps")


def test_a_plateau_halves_the_step_size():
    data, _ = planted(users=60)
    log = fit("autoencoder", data, max_epochs=60, patience=4, learning_rate=0.05).meta["log"]
    assert log[-1]["learning_rate"] < log[0]["learning_rate"] == 0.05


@pytest.mark.parametrize(
    "regularisation",
    [
        {"weight_decay": 3.0},
        {"l1_penalty": 0.02},
        {"dropout": 0.6},
        {"item_dropout": 0.5},
        {"crop_share": 0.2},
    ],
)
def test_regularisation_shrinks_the_gap_between_training_and_validation(regularisation, monkeypatch):
    monkeypatch.setattr(training, "MIN_IMPROVEMENT", -np.inf)  # the last epoch's weights count as the best
    random = np.random.default_rng(3)
    noise = history((random.random((80, 60)) < 0.15) * 1.0, np.zeros((80, 1)))
    rows = torch.from_numpy(noise.matrix.toarray())

    def gap(**changes):
        settings = {"dropout": 0.0, "max_epochs": 40, "schedule": "constant"} | changes
        artifact = fit("autoencoder", noise, **settings)
        network = stored_network(artifact, Autoencoder)
        with torch.no_grad():
            learned = network.reconstruction_loss(network(rows)[0], rows).sum() / rows.sum()
        return artifact.meta["metrics"]["validation_loss"] - float(learned)

    overfitted = gap()
    assert overfitted > 0.5
    assert gap(**regularisation) < overfitted - 0.05


@pytest.mark.parametrize(
    ("kind", "augmentation"),
    [(kind, changes) for kind in TRAINED_KINDS for changes in ({"item_dropout": 0.3}, {"crop_share": 0.5})]
    + [("dense_vae", {"noise": 0.5}), ("autoencoder", {"noise": 0.5, "likelihood": "gaussian"})],
)
def test_augmentation_changes_the_training_and_not_the_encoding(kind, augmentation):
    data, _ = planted(users=80)
    few = {"max_epochs": 3} | ({"likelihood": "gaussian"} if "likelihood" in augmentation else {})
    plain, augmented = fit(kind, data, **few), fit(kind, data, **few | augmentation)
    assert plain.meta["log"] != augmented.meta["log"]
    assert not np.array_equal(encode(kind, data, plain), encode(kind, data, augmented))
    # The same weights encode alike whatever the augmentation that they were trained with.
    claimed = Artifact(
        plain.arrays, {**plain.meta, "parameters": {**plain.meta["parameters"], **augmentation}}
    )
    np.testing.assert_array_equal(encode(kind, data, claimed), encode(kind, data, plain))


def test_dense_autoencoders_train_on_through_the_annealing():
    data, _ = planted()
    metrics = fit("dense_vae", data, max_epochs=60, patience=4, learning_rate=0.002).meta["metrics"]
    # While the weight of the divergence grows (20 epochs) the loss may rise; that is no reason to stop.
    assert metrics["best_epoch"] > 20


def test_the_bernoulli_likelihood_scales_features_into_its_range():
    data, groups = planted()
    artifact = fit("dense_vae", data, likelihood="bernoulli", max_beta=0.02)
    assert agreement(encode("dense_vae", data, artifact), groups) > 0.2
    far_out = replace(data, features=data.features * 100)
    assert np.isfinite(encode("dense_vae", far_out, artifact)).all()


def test_the_adversary_brings_the_vectors_near_the_normal_distribution():
    data, _ = planted(users=200)
    settings = {"likelihood": "gaussian", "dropout": 0.0, "learning_rate": 0.005, "max_epochs": 60}

    def divergence(**changes):
        """Return the KL divergence of a normal distribution with the vectors' moments from N(0, 1)."""
        artifact = fit("adversarial", data, **settings | changes)
        assert 0 <= artifact.meta["metrics"]["discriminator_accuracy"] <= 1
        vectors = encode("adversarial", data, artifact)
        mean, covariance = vectors.mean(axis=0), np.cov(vectors.T)
        return (np.trace(covariance) + mean @ mean - len(mean) - np.linalg.slogdet(covariance)[1]) / 2

    assert divergence() < 0.85 * divergence(adversarial_weight=1e-6)


# --- deep clustering -----------------------------------------------------------------------------------


def test_soft_assignments_and_their_target_are_the_papers():
    vectors, centres = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    found = deep_clustering.soft_assignments(vectors, centres)
    # Kernels 1 and 1/2 for the first vector, 1/5 and 1/2 for the second.
    torch.testing.assert_close(found, torch.tensor([[2 / 3, 1 / 3], [2 / 7, 5 / 7]]))
    target = deep_clustering.target_distribution(found)
    first = np.array([(2 / 3) ** 2 / (2 / 3 + 2 / 7), (1 / 3) ** 2 / (1 / 3 + 5 / 7)])
    np.testing.assert_allclose(target[0].numpy(), first / first.sum(), rtol=1e-5)
    assert target[0, 0] > found[0, 0]


def test_tuning_draws_users_to_the_centres_that_the_artefact_keeps(fitted):
    data, _, artifacts = fitted
    tuned, untuned = artifacts["deep_clustering"], fit("deep_clustering", data, tuning_epochs=0)
    assert tuned.arrays["cluster_centres"].shape == (5, 6)
    assert untuned.meta["metrics"]["tuning_epochs"] == 0

    def clearness(artifact):
        vectors = torch.from_numpy(encode("deep_clustering", data, artifact))
        centres = torch.from_numpy(artifact.arrays["cluster_centres"])
        return float(deep_clustering.soft_assignments(vectors, centres).max(dim=1).values.mean())

    assert clearness(tuned) > clearness(untuned) + 0.02


def test_tuning_stops_when_few_users_change():
    data, _ = planted()
    metrics = fit("deep_clustering", data, tolerance=0.9, tuning_epochs=20).meta["metrics"]
    assert metrics["tuning_epochs"] == 1
    assert metrics["changed_share"] < 0.9


# --- SVD -------------------------------------------------------------------------------------------------


def test_users_of_the_fit_fold_in_where_they_were():
    random = np.random.default_rng(1)
    matrix = sparse.csr_array(random.random((30, 4)) @ random.random((4, 12)))  # rank 4: nothing is cut off
    data = history(matrix, np.zeros((30, 0)))
    users = factorise(data.matrix, 6, 7).arrays["users"]
    folded = encode("factors", data, fit("factors", data, unit_length=False))
    np.testing.assert_allclose(folded, users, atol=1e-4)
    directions = encode("factors", data, fit("factors", data))
    np.testing.assert_allclose(directions, users / np.linalg.norm(users, axis=1)[:, None], atol=1e-4)


# --- what is bad, little or nothing ---------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("users", "items", "features"), [(0, 4, 3), (5, 0, 0), (1, 4, 3), (12, 4, 3), (1, 1, 1)]
)
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_nothing_little_and_constants_give_vectors_all_the_same(kind, users, items, features, fill):
    data = history(np.full((users, items), fill), np.full((users, features), fill))
    few = {} if kind == "factors" else {"max_epochs": 2}
    vectors = encode(kind, data, fit(kind, data, **few))
    assert vectors.shape[0] == users
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_in_fit_and_in_encode(fitted, kind, value):
    data, _, artifacts = fitted
    matrix, features = data.matrix.copy(), data.features.copy()
    matrix.data[5] = features[3, 2] = value
    broken = history(matrix, features)
    with pytest.raises(ValueError, match="finite"):
        fit(kind, broken)
    with pytest.raises(ValueError, match="finite"):
        encode(kind, broken, artifacts[kind])


@pytest.mark.parametrize("kind", sorted(set(ITEM_KINDS) - {"factors"}))
def test_negative_affinities_are_refused(fitted, kind):
    data, _, artifacts = fitted
    matrix = data.matrix.copy()
    matrix.data[5] = -1
    negative = history(matrix, data.features)
    with pytest.raises(ValueError, match="at least 0"):
        fit(kind, negative)
    with pytest.raises(ValueError, match="at least 0"):
        encode(kind, negative, artifacts[kind])


def test_a_feature_without_values_of_its_own_says_nothing_later_either():
    data, _ = planted(users=60)
    features = data.features.copy()
    features[:, 4] = 0.5
    artifact = fit("dense_vae", history(data.matrix, features), max_epochs=3)
    expected = encode("dense_vae", history(data.matrix, features), artifact)
    features[:, 4] = 7.0
    np.testing.assert_array_equal(encode("dense_vae", history(data.matrix, features), artifact), expected)


def test_noise_on_counts_is_refused():
    with pytest.raises(ValueError, match="noise is for features"):
        ENCODERS["mult_vae"].Parameters(noise=0.1)


def test_only_the_most_used_items_are_read_and_ties_go_by_id():
    matrix = np.array([[1, 1, 0, 5], [1, 0, 0, 5], [0, 1, 1, 0]], np.float32)
    data = replace(history(matrix, np.zeros((3, 1))), item_ids=np.array(["d", "b", "c", "a"]))
    assert most_used_items(data, 2).tolist() == ["b", "a"]
    assert most_used_items(data, 3).tolist() == ["d", "b", "a"]
    artifact = fit("mult_vae", data, max_items=2, max_epochs=1)
    assert artifact.arrays["item_ids"].tolist() == ["b", "a"]
    assert encode("mult_vae", data, artifact).shape == (3, 6)
