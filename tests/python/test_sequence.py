from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from manyfaces.embeddings.encoders import sequence, sequence_rows
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.sequence import Parameters, encode, fit, score_next
from manyfaces.embeddings.encoders.sequence_networks import Transformer
from manyfaces.runs import LOG_SCHEMA
from manyfaces.store import ArtifactStore

GROUPS, ITEMS, USERS, DIMS = 3, 45, 300, 32
ARCHITECTURES = ["transformer", "gru"]
SMALL = Parameters(
    dims=DIMS, layers=1, max_length=16, max_epochs=30, learning_rate=0.005, batch_size=64, warmup_steps=20
)


def history_of(sequences, items=ITEMS):
    offsets = np.concatenate([[0], np.cumsum([len(entry) for entry in sequences])]).astype(np.int64)
    return UserHistory(
        item_ids=np.array([f"i{number:03}" for number in range(items)], dtype=np.str_),
        matrix=sparse.csr_array((len(sequences), items), dtype=np.float32),
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((len(sequences), 0), np.float32),
        sequence_items=np.array([item for entry in sequences for item in entry], np.int32),
        sequence_offsets=offsets,
    )


def planted(users=USERS, seed=3):
    """Users take items of their group, half of the time the one that follows the last in a fixed round."""
    random = np.random.default_rng(seed)
    groups = np.arange(users) % GROUPS
    sequences = []
    for group in groups:
        own = np.flatnonzero(np.arange(ITEMS) % GROUPS == group)
        taken = [int(random.choice(own))]
        for _ in range(random.integers(4, 20)):
            draw = random.random()
            if draw < 0.5:
                taken.append((taken[-1] + GROUPS) % ITEMS)
            else:
                taken.append(int(random.choice(own) if draw < 0.85 else random.integers(ITEMS)))
        sequences.append(taken)
    return history_of(sequences), groups


def agreement(vectors, groups):
    return adjusted_rand_score(groups, KMeans(GROUPS, n_init=5, random_state=0).fit_predict(vectors))


@pytest.fixture(scope="module")
def fitted():
    history, groups = planted()
    return (
        history,
        groups,
        {name: fit(history, replace(SMALL, architecture=name)) for name in ARCHITECTURES},
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_next_item_is_guessed_better_than_by_popularity(fitted, architecture):
    metrics = fitted[2][architecture].meta["metrics"]
    assert metrics["scored_users"] == USERS // 10
    assert metrics["next_item_hit_rate_at_10"] > metrics["popularity_hit_rate_at_10"] + 0.2


@pytest.mark.parametrize(("architecture", "least"), [("transformer", 0.8), ("gru", 0.3)])
def test_vectors_show_the_planted_groups(fitted, architecture, least):
    history, groups, artifacts = fitted
    vectors = encode(history, artifacts[architecture])
    assert vectors.dtype == np.float32
    assert vectors.shape == (USERS, DIMS)
    np.testing.assert_array_equal(vectors, vectors.round(6))
    assert agreement(vectors, groups) > least  # 0 is chance


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_falls_and_the_artefact_says_how_it_came_about(fitted, architecture):
    artifact = fitted[2][architecture]
    log, metrics = artifact.meta["log"], artifact.meta["metrics"]
    assert all(set(entry) <= set(LOG_SCHEMA) for entry in log)
    assert [entry["epoch"] for entry in log] == list(range(1, len(log) + 1))
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    assert metrics["validation_loss"] == min(entry["validation_loss"] for entry in log)
    assert artifact.meta["rows"] == USERS
    assert artifact.meta["parameters"] == asdict(replace(SMALL, architecture=architecture))
    weights = [name for name in artifact.arrays if name not in ("item_ids", "item_counts")]
    assert metrics["trainable_parameters"] == sum(artifact.arrays[name].size for name in weights)
    assert artifact.arrays["item_ids"].dtype.kind == "U"
    assert not [name for name, array in artifact.arrays.items() if USERS in array.shape]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(fitted, architecture):
    history = fitted[0]
    quick = replace(SMALL, architecture=architecture, max_epochs=2)
    first = fit(history, quick)
    torch.manual_seed(99)  # the global generators have no influence
    np.random.seed(99)  # noqa: NPY002
    again = fit(history, quick)
    assert again.meta == first.meta
    np.testing.assert_array_equal(encode(history, again), encode(history, first))
    assert fit(history, replace(quick, seed=8)).meta["log"] != first.meta["log"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_vectors_after_a_reload_are_the_same_bits(fitted, architecture, tmp_path):
    history, _, artifacts = fitted
    expected = encode(history, artifacts[architecture])
    store = ArtifactStore(tmp_path)
    store.fit("sequence", architecture, lambda: artifacts[architecture])
    reloaded = store.load(f"sequence-{architecture}")
    np.testing.assert_array_equal(encode(history, reloaded), expected)
    assert score_next(history, reloaded) == score_next(history, artifacts[architecture])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_vector_depends_on_nobody_else_and_not_on_new_items_or_their_order(fitted, architecture):
    history, _, artifacts = fitted
    expected = encode(history, artifacts[architecture])
    order = np.random.default_rng(5).permutation(ITEMS)
    position = np.argsort(order)
    later = []
    for user in (7, 260):
        items = history.sequence_items[slice(*history.sequence_offsets[[user, user + 1]])]
        # A new item, number ITEMS, is passed over wherever it stands.
        later.append([ITEMS, *position[items].tolist(), ITEMS])
    seen = replace(
        history_of(later, ITEMS + 1), item_ids=np.append(history.item_ids[order], "new").astype(np.str_)
    )
    np.testing.assert_array_equal(encode(seen, artifacts[architecture]), expected[[7, 260]])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_newest_items_count_and_their_order_does(fitted, architecture):
    artifact = fitted[2][architecture]
    newest = list(range(16))
    old, short, turned = encode(history_of([[40, 41, *newest], newest, newest[::-1]]), artifact)
    np.testing.assert_array_equal(old, short)
    assert np.abs(short - turned).max() > 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_who_has_no_known_item_has_a_vector_of_zeros(fitted, architecture):
    vectors = encode(history_of([[], [3], []]), fitted[2][architecture])
    assert np.abs(vectors).sum(axis=1).astype(bool).tolist() == [False, True, False]
    assert encode(history_of([]), fitted[2][architecture]).shape == (0, DIMS)
    unknown = replace(history_of([[1, 2]]), item_ids=np.array([f"x{number}" for number in range(ITEMS)]))
    assert not encode(unknown, fitted[2][architecture]).any()
    assert score_next(history_of([[], [3]]), fitted[2][architecture]) == {}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("sequences", "items"), [([], 0), ([], 5), ([[], []], 0), ([[], []], 5), ([[1], [2]], 5)]
)
def test_nothing_to_learn_gives_zeros(architecture, sequences, items):
    history = history_of(sequences, items)
    artifact = fit(history, replace(SMALL, architecture=architecture))
    assert artifact.meta["log"] == []
    vectors = encode(history, artifact)
    assert vectors.shape == (len(sequences), DIMS)
    assert not vectors.any()
    assert score_next(history, artifact) == {}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_user_and_one_item_can_be_learned_from(architecture):
    quick = replace(SMALL, architecture=architecture, max_epochs=2)
    for sequences in ([[1, 2, 3]], [[2, 2]]):
        artifact = fit(history_of(sequences), quick)
        assert np.isfinite(encode(history_of(sequences), artifact)).all()
        assert "next_item_hit_rate_at_10" not in artifact.meta["metrics"]  # nobody could be left out


def test_training_stops_when_the_validation_loss_no_longer_falls():
    random = np.random.default_rng(1)
    noise = history_of(random.integers(0, ITEMS, (60, 8)).tolist())
    artifact = fit(noise, replace(SMALL, patience=3, max_epochs=60))
    metrics = artifact.meta["metrics"]
    assert metrics["epochs"] == metrics["best_epoch"] + 3 < 60


AUGMENTATIONS = [{"item_dropout": 0.5}, {"crop_share": 1.0}, {"mask_share": 0.7}, {"dropout": 0.5}]


@pytest.mark.parametrize("change", AUGMENTATIONS)
def test_augmentation_changes_the_training_and_not_the_vectors_of_a_model(fitted, change):
    history, _, artifacts = fitted
    plain = replace(SMALL, max_epochs=1, item_dropout=0.0, crop_share=0.0, dropout=0.0)
    assert fit(history, replace(plain, **change)).meta["log"] != fit(history, plain).meta["log"]
    changed = replace(artifacts["transformer"], meta=artifacts["transformer"].meta | {})
    changed.meta["parameters"] = changed.meta["parameters"] | change
    np.testing.assert_array_equal(encode(history, changed), encode(history, artifacts["transformer"]))


def test_the_vocabulary_and_the_users_are_bounded(fitted):
    history = fitted[0]
    artifact = fit(history, replace(SMALL, max_items=10, max_training_users=50, max_epochs=1))
    counts = np.bincount(history.sequence_items, minlength=ITEMS)
    kept = np.lexsort((history.item_ids, -counts))[:10]
    assert artifact.arrays["item_ids"].tolist() == history.item_ids[kept].tolist()
    assert artifact.meta["metrics"]["training_rows"] == 45
    assert encode(history, artifact).shape == (USERS, DIMS)


def test_augmented_rows_are_windows_without_some_items():
    history = history_of([list(range(12)), [3, 4], [7, 8, 9]])
    users = np.repeat([0, 1, 2], 200)
    random = np.random.default_rng(0)
    newest = sequence_rows.augmented(history, users, 8, 0.0, 0.0, random)
    assert newest.items[0].tolist() == list(range(4, 12))
    assert set(newest.lengths.tolist()) == {8, 2, 3}
    cropped = sequence_rows.augmented(history, users, 8, 1.0, 0.0, random)
    assert set(cropped.lengths[:200].tolist()) == {4, 5, 6, 7, 8}
    assert set(cropped.items[:200, 0].tolist()) == set(range(9))
    for row, length in zip(cropped.items[:200].tolist(), cropped.lengths[:200].tolist(), strict=True):
        assert row == list(range(row[0], row[0] + length)) + [cropped.padding] * (8 - length)
    thinned = sequence_rows.augmented(history, users, 8, 0.0, 0.5, random)
    assert set(thinned.lengths[:200].tolist()) <= set(range(2, 9))
    assert thinned.lengths[:200].mean() < 5
    assert thinned.items[200:400, :2].tolist() == [[3, 4]] * 200  # too short to lose any
    assert (np.diff(thinned.items[:200], axis=1) > 0)[:, 0].all()


def test_guesses_ask_for_what_was_there():
    history = history_of([list(range(10)), [3, 4]])
    rows = sequence_rows.newest_items(history, np.array([0, 1]), 8)
    random = np.random.default_rng(0)
    hidden = sequence_rows.hidden_items(rows, 99, 0.4, 0.0, random)
    assert (hidden.rows.items[hidden.places] == 99).all()
    assert (rows.items[hidden.places] == hidden.targets).all()
    assert set(hidden.places[0].tolist()) == {0, 1}
    visible = sequence_rows.hidden_items(rows, 99, 1.0, 1.0, random)
    assert (visible.rows.items == rows.items).all()
    following = sequence_rows.next_items(rows, 1.0, random)
    assert following.targets.tolist() == [3, 4, 5, 6, 7, 8, 9, 4]
    assert sequence_rows.newest_item(rows, None).places[1].tolist() == [6, 0]
    assert sequence_rows.newest_item(rows, 99).rows.items[:, [7, 1]].tolist() == [[99, 3], [ITEMS + 1, 99]]


def test_the_transformer_does_not_see_what_is_behind_the_end():
    network = Transformer(5, 8, 2, 2, 6, 0.0, torch.Generator().manual_seed(1)).eval()
    rows, lengths = torch.tensor([[1, 2, 6, 6]]), torch.tensor([2])
    other = torch.tensor([[1, 2, 3, 4]])
    with torch.inference_mode():
        np.testing.assert_array_equal(network(rows, lengths)[:, :2], network(other, lengths)[:, :2])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"architecture": "lstm"}, "Unknown architecture 'lstm': take transformer or gru."),
        ({"dims": 15}, "dims is 15 but must be a multiple of heads, 2."),
    ],
)
def test_what_does_not_go_together_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SMALL, **change)
    with pytest.raises(ValueError, match="Unknown schedule 'warm'"):
        fit(history_of([[1, 2]]), replace(SMALL, schedule="warm"))


def test_scores_are_those_of_the_held_out_item(monkeypatch, fitted):
    """If one and the same item is guessed for everybody, the rate is how often it is the newest."""
    history, _, artifacts = fitted
    monkeypatch.setattr(sequence, "HITS_AT", 1)
    artifact = replace(artifacts["gru"], arrays=dict(artifacts["gru"].arrays))
    bias = np.zeros(len(artifact.arrays["item_ids"]), np.float32)
    bias[4] = 1e6
    artifact.arrays["item_bias"] = bias
    newest = history.sequence_items[history.sequence_offsets[1:] - 1]
    share = (history.item_ids[newest] == artifact.arrays["item_ids"][4]).mean()
    assert score_next(history, artifact)["next_item_hit_rate_at_1"] == pytest.approx(share, abs=1e-6)
