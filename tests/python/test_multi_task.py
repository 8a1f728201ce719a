"""The multi-task ranker on planted segments: small ones gain, big ones go their own way."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from manyfaces.recommendations import multi_task
from manyfaces.recommendations.multi_task import MultiTaskNetwork, MultiTaskParameters, fit

PARAMETERS = MultiTaskParameters(hidden_dims=16, max_epochs=15, batch_size=256, warmup_steps=20)
CANDIDATES, FEATURES = 20, 6


def planted(users_of: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """Candidates are taken by a curved taste that all share, turned a little, or much (`odd`), by segment."""
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(0)
    shared = weights.standard_normal(FEATURES)
    turns = {"big": 0.3, "large": 0.3, "odd": 2.0, "small": 0.3, "tiny": 0.3}
    own = {name: shared + turn * weights.standard_normal(FEATURES) for name, turn in turns.items()}
    segments = np.repeat(list(users_of), [CANDIDATES * count for count in users_of.values()])
    features = random.standard_normal((len(segments), FEATURES))
    curved = np.column_stack([np.abs(features[:, :3]) - 0.8, features[:, 3:]])
    odds = (curved * np.array([own[name] for name in segments])).sum(axis=1) * 1.5 - 1
    return {
        "features": features.astype(np.float32),
        "labels": (random.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(np.float32),
        "users": np.repeat(np.arange(sum(users_of.values())), CANDIDATES),
        "segments": segments,
    }


TRAINING = planted({"big": 300, "large": 200, "odd": 200, "small": 12, "tiny": 6}, seed=1)
TEST = planted({"big": 200, "large": 200, "odd": 200, "small": 200, "tiny": 200}, seed=2)


def loss_of(ranker, name: str) -> float:
    rows = TEST["segments"] == name
    predicted = ranker.predict(TEST["features"][rows], TEST["segments"][rows])
    return log_loss(TEST["labels"][rows], np.clip(predicted, 1e-6, 1 - 1e-6))


@pytest.fixture(scope="module")
def together():
    return fit(**TRAINING, parameters=PARAMETERS)


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_small_segments_gain_against_a_model_of_their_own(together, name):
    rows = TRAINING["segments"] == name
    alone = fit(**{column: values[rows] for column, values in TRAINING.items()}, parameters=PARAMETERS)
    assert loss_of(together, name) < 0.9 * loss_of(alone, name)


def test_a_segment_of_another_taste_gains_against_one_model_for_all(together):
    segments = np.full(len(TRAINING["labels"]), "all")
    same = fit(**(TRAINING | {"segments": segments}), parameters=PARAMETERS)
    assert loss_of(together, "odd") < 0.9 * loss_of(same, "odd")


def test_heads_of_small_segments_stay_near_the_common_one(together):
    lengths = together.network.deviations.detach().norm(dim=1).numpy()
    by_name = dict(zip(together.segments.tolist(), lengths.tolist(), strict=True))
    assert by_name["tiny"] < by_name["odd"]
    bound = fit(**TRAINING, parameters=MultiTaskParameters(**(vars(PARAMETERS) | {"shrinkage": 1e6})))
    assert bound.network.deviations.detach().norm(dim=1).max() < 0.05 * max(lengths)


def test_an_unknown_segment_has_the_common_head(together):
    features = TEST["features"][:50]
    found = together.predict(features, np.full(50, "never seen"))
    with torch.inference_mode():
        inputs = torch.from_numpy(((features - together.shift) / together.scale).astype(np.float32))
        network = together.network
        hidden = torch.relu(network.second(torch.relu(network.first(inputs))))
        expected = torch.sigmoid(hidden @ network.common[:-1] + network.common[-1]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, together.predict(features, np.full(50, "odd")), atol=0.01)


def test_the_same_seed_gives_the_same_ranker_and_leaves_the_global_generator_alone():
    rows = slice(0, 2000)
    data = {column: values[rows] for column, values in TRAINING.items()}
    state = torch.random.get_rng_state()
    first, second = (fit(**data, parameters=PARAMETERS) for _ in range(2))
    other = fit(**data, seed=8, parameters=PARAMETERS)
    scores = [ranker.predict(data["features"], data["segments"]) for ranker in (first, second, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_users_are_left_out_whole(monkeypatch):
    seen = []
    forward = MultiTaskNetwork.forward

    def spy(self, features, segments):
        if self.training:
            seen.append(features[:, 0].numpy())
        return forward(self, features, segments)

    monkeypatch.setattr(multi_task.MultiTaskNetwork, "forward", spy)
    users = np.repeat(np.arange(40), 5)
    features = users[:, None].astype(np.float32)
    ranker = fit(features, users % 2, users, users % 3, parameters=MultiTaskParameters(max_epochs=1))
    trained = np.unique(np.concatenate(seen) * ranker.scale + ranker.shift).round().astype(int)
    assert len(trained) == 34
    assert sum(map(len, seen)) == 34 * 5


@pytest.mark.filterwarnings("error")
def test_bad_and_tiny_inputs():
    empty = np.zeros((0, 2), np.float32)
    with pytest.raises(ValueError, match="no rows"):
        fit(empty, np.zeros(0), np.zeros(0), np.zeros(0))
    broken = np.array([[1.0, np.nan]], np.float32)
    with pytest.raises(ValueError, match="Feature 1"):
        fit(broken, np.zeros(1), np.zeros(1), np.zeros(1))
    ranker = fit(np.ones((1, 2), np.float32), np.ones(1), np.zeros(1), np.zeros(1))
    assert 0.5 < ranker.predict(np.ones((1, 2), np.float32), np.zeros(1))[0] <= 1
    assert ranker.predict(empty, np.zeros(0)).shape == (0,)
