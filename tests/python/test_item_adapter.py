from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from manyfaces.embeddings import tables
from manyfaces.embeddings.item_adapter import (
    AdapterParameters,
    apply_adapter,
    contrastive_loss,
    fit_adapter,
    sample_pairs,
)
from manyfaces.frames import vector_table, vectors_of
from manyfaces.keeping import Plan
from manyfaces.runs import LOG_SCHEMA
from manyfaces.store import ArtifactStore

TEXTS, DIMS, USERS = 60, 24, 300
SMALL = AdapterParameters(
    rank=4,
    temperature=0.3,
    batch_size=128,
    max_epochs=8,
    learning_rate=0.01,
    warmup_steps=10,
    max_pairs_per_user=20,
)


def directions(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).round(6).astype(np.float32)


def planted(seed=1):
    """Texts whose use shows in three of the dimensions of their vectors, and users who keep to one use."""
    random = np.random.default_rng(seed)
    uses = np.arange(TEXTS) % 3
    vectors = random.normal(size=(TEXTS, DIMS))
    vectors[:, :3] = vectors[:, :3] * 0.3 + np.eye(3)[uses]
    fits = (np.arange(USERS) % 3)[:, None] == uses
    weights = (random.random((USERS, TEXTS)) < np.where(fits, 0.35, 0.05)) * random.uniform(
        0.5, 2, (USERS, TEXTS)
    )
    return directions(vectors), sparse.csr_array(weights)


def draw(weights, seed=7):
    return sample_pairs(weights, SMALL.max_pairs_per_user, SMALL.max_pairs, seed)


@pytest.fixture(scope="module")
def fitted():
    vectors, weights = planted()
    return vectors, weights, fit_adapter(vectors, weights, SMALL)


def test_held_out_pairs_are_found_better_than_with_frozen_vectors(fitted):
    metrics = fitted[2].meta["metrics"]
    assert metrics["adapted_auc"] > metrics["frozen_auc"] + 0.05
    assert metrics["adapted_mean_reciprocal_rank"] > metrics["frozen_mean_reciprocal_rank"]
    assert metrics["trainable_parameters"] == 2 * 4 * DIMS


def test_users_without_taste_teach_nothing(fitted):
    weights = sparse.csr_array(np.random.default_rng(3).random((USERS, TEXTS)) < 0.2)
    metrics = fit_adapter(fitted[0], weights, replace(SMALL, max_epochs=30)).meta["metrics"]
    assert abs(metrics["adapted_auc"] - 0.5) < 0.03
    assert metrics["epochs"] == metrics["best_epoch"] + SMALL.patience < 30


def test_adapted_vectors_are_directions_with_the_zero_kept(fitted):
    vectors, _, artifact = fitted
    adapted = apply_adapter(np.concatenate([vectors, np.zeros((1, DIMS), np.float32)]), artifact)
    assert adapted.dtype == np.float32
    np.testing.assert_array_equal(adapted, adapted.round(6))
    np.testing.assert_allclose(np.linalg.norm(adapted, axis=1), [1] * TEXTS + [0], atol=1e-5)
    assert np.abs(adapted[:TEXTS] - vectors).max() > 0.05
    down, up = (artifact.arrays[name].astype(np.float64) for name in ("down", "up"))
    expected = vectors + vectors @ down.T @ up.T
    np.testing.assert_allclose(adapted[:TEXTS], directions(expected), atol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_a_reload_too(fitted, tmp_path):
    vectors, weights, artifact = fitted
    expected = apply_adapter(vectors, artifact)
    torch.manual_seed(99)  # the global generators have no influence
    again = fit_adapter(vectors, weights, SMALL)
    assert again.meta == artifact.meta
    np.testing.assert_array_equal(apply_adapter(vectors, again), expected)
    ArtifactStore(tmp_path).fit("text_adapter", "key", lambda: artifact)
    reloaded = ArtifactStore(tmp_path).load("text_adapter-key")
    np.testing.assert_array_equal(apply_adapter(vectors, reloaded), expected)
    assert fit_adapter(vectors, weights, replace(SMALL, seed=8)).meta["log"] != artifact.meta["log"]


def test_the_artefact_says_how_it_came_about(fitted):
    meta = fitted[2].meta
    assert meta["parameters"] == asdict(SMALL)
    assert meta["rows"] == TEXTS
    assert all(set(entry) <= set(LOG_SCHEMA) for entry in meta["log"])
    pairs, _ = draw(fitted[1])
    assert meta["metrics"]["pairs"] == len(pairs)
    assert np.abs(meta["metrics"]["held_out_pairs"] / len(pairs) - 0.1) < 0.03
    assert not [name for name, array in fitted[2].arrays.items() if USERS in array.shape]


@pytest.mark.parametrize("users", [0, 1, 9])
def test_too_few_users_leave_the_vectors_as_they_are(fitted, users):
    vectors, weights, _ = fitted
    artifact = fit_adapter(vectors, weights[:users], SMALL)
    assert artifact.arrays == {}
    assert apply_adapter(vectors, artifact) is vectors


@pytest.mark.parametrize("weights", [np.zeros((0, 0)), np.zeros((3, 4)), np.eye(4)])
def test_without_two_texts_of_one_user_there_are_no_pairs(weights):
    pairs, users = sample_pairs(sparse.csr_array(weights), 5, 10, 7)
    assert pairs.shape == (0, 2)
    assert users.shape == (0,)
    vectors = np.ones((weights.shape[1], 6), np.float32)
    assert fit_adapter(vectors, sparse.csr_array(weights), SMALL).arrays == {}


def test_weights_of_other_texts_and_vectors_of_another_length_are_refused(fitted):
    vectors, weights, artifact = fitted
    with pytest.raises(ValueError, match="name 60 texts, but there are 59 vectors"):
        fit_adapter(vectors[1:], weights, SMALL)
    with pytest.raises(ValueError, match="reads vectors of length 24, not 23"):
        apply_adapter(vectors[:, 1:], artifact)


def test_pairs_are_of_one_user_and_bounded():
    _, weights = planted()
    pairs, users = draw(weights)
    taken = weights.toarray() > 0
    assert (taken[users, pairs[:, 0]] & taken[users, pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert np.bincount(users).max() <= 20
    assert len(set(users.tolist())) > 0.9 * USERS
    assert 0 < len(sample_pairs(weights, 20, 500, 7)[0]) <= 500
    two_texts = sparse.csr_array(np.array([[1.0, 1.0, 0.0]]))
    assert len(sample_pairs(two_texts, 20, 500, 7)[0]) <= 1


def test_pairs_depend_on_the_seed_and_not_on_the_unit_of_the_weights():
    _, weights = planted()
    pairs = draw(weights)[0]
    np.testing.assert_array_equal(draw(weights)[0], pairs)
    np.testing.assert_array_equal(draw(weights * 4)[0], pairs)
    assert not np.array_equal(draw(weights, 8)[0][:50], pairs[:50])


def test_what_everybody_takes_is_drawn_less():
    weights = np.zeros((200, 21))
    weights[:, 0] = 1
    owners = np.arange(200)
    weights[owners, 1 + owners % 10] = weights[owners, 11 + owners % 10] = 1
    pairs, _ = sample_pairs(sparse.csr_array(weights), 20, 10_000, 7)
    drawn = np.bincount(pairs.ravel(), minlength=21)
    # A text of 20 users has ten times the lift of the one of all 200.
    with_everybodys = (pairs == 0).any(axis=1).sum()
    without = len(pairs) - with_everybodys
    assert with_everybodys / without == pytest.approx(0.2, abs=0.06)
    assert drawn[1:].min() > 0


def test_the_loss_is_the_cross_entropy_of_both_directions_without_repetitions():
    vectors = torch.from_numpy(directions(np.random.default_rng(0).normal(size=(5, 3))))
    pairs = np.array([[0, 1], [2, 1], [0, 3]])
    first, second = vectors[[0, 2, 0]], vectors[[1, 1, 3]]
    similar = first @ second.T / 0.1
    # Row by row: the right column, and the columns that are wrong answers.
    forward = [[0, 2], [1, 2], [2, 0, 1]]
    backward = [[0, 1], [1, 0, 2], [2, 1]]
    losses = [
        functional.cross_entropy(row[columns][None], torch.tensor([0]))
        for matrix, answers in ((similar, forward), (similar.T, backward))
        for row, columns in zip(matrix, answers, strict=True)
    ]
    torch.testing.assert_close(
        contrastive_loss(nn.Identity(), vectors, pairs, 0.1), torch.stack(losses).mean()
    )


def table_of(vectors):
    keys = pl.DataFrame(
        {"text_index": range(len(vectors)), "text_key": [f"key-{row}" for row in range(len(vectors))]},
        schema={"text_index": pl.Int32, "text_key": pl.String},
    )
    return vector_table(keys, vectors, "text-run", "text-1/some")


def weights_table(weights):
    cells = sparse.coo_array(weights)
    return pl.DataFrame({"user_index": cells.row, "text_index": cells.col, "weight": cells.data})


def refuse():
    raise AssertionError("the weights were read although there is nothing to adapt")


def test_the_table_without_an_adapter_is_the_one_of_the_encoder(fitted, tmp_path):
    texts = table_of(fitted[0])
    assert tables.item_text_vector_table(texts, refuse, "none", str(tmp_path), 7, Plan("1")) is texts
    empty = texts.clear()
    assert tables.item_text_vector_table(empty, refuse, "contrastive", str(tmp_path), 7, Plan("1")) is empty
    assert list(tmp_path.iterdir()) == []


def test_the_adapted_table_has_the_columns_of_the_encoders_and_its_own_run(tmp_path):
    vectors, weights = planted()
    texts = table_of(vectors)

    def adapted(table, cells):
        return tables.item_text_vector_table(table, lambda: cells, "contrastive", str(tmp_path), 7, Plan("1"))

    cells = weights_table(weights)
    table = adapted(texts, cells)
    assert table.schema == texts.schema
    assert table["text_key"].to_list() == texts["text_key"].to_list()
    assert table["run_id"].unique().to_list() == [ArtifactStore(tmp_path).load(table["run_id"][0]).run_id]
    assert table["model_version"][0] == "text-adapter-1/text-1/some"
    assert np.abs(vectors_of(table["vector"]) - vectors).max() > 0.01
    # The order of the rows does not matter, and the second time nothing is fitted.
    assert adapted(texts.reverse(), cells.reverse()).equals(table)
    assert len(list(tmp_path.glob("*.json"))) == 1
