"""A ranker with a task for each segment: a shared trunk, and heads that lean on a common one.

Caruana, "Multitask Learning", Machine Learning 1997 (hard parameter sharing); the heads after Evgeniou and
Pontil, "Regularized multi-task learning", KDD 2004: a segment's head is the common one and a deviation, which
starts at 0 and is penalised. So a small segment ranks nearly as all do, a big one as its users want.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from manyfaces.embeddings.descent import DescentParameters, descend
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.training import fixed_threads
from manyfaces.recommendations.top_items import DECIMALS

MODEL_VERSION = "multi_task-1"
VALIDATION_SHARE = 0.15
BLOCK_ROWS = 65_536
MAX_DEVIATIONS = 5.0
"""A standardised feature is cut here."""


@dataclass(frozen=True, kw_only=True)
class MultiTaskParameters(DescentParameters):
    """What decides the training besides the data; see DescentParameters for the others.

    Attributes:
        hidden_dims: Width of both layers of the trunk.
        shrinkage: Penalty on the squared deviations of the heads, in rows: a segment of many more rows goes
            its own way.
    """

    hidden_dims: int = setting(32, low=1)
    shrinkage: float = setting(10.0, low=0)
    max_epochs: int = setting(30, low=1)
    patience: int = setting(4, low=1)
    learning_rate: float = setting(0.005, above=0)
    batch_size: int = setting(1024, low=1)


class MultiTaskNetwork(nn.Module):
    """Two shared layers, a common head, and a deviation from it for each segment."""

    def __init__(self, features: int, hidden: int, segments: int, generator: torch.Generator) -> None:
        """Draw the first weights of the trunk from `generator`; heads begin at 0."""
        super().__init__()
        self.first, self.second = skip_init(nn.Linear, features, hidden), skip_init(nn.Linear, hidden, hidden)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        # The last number of a head is its bias. The last deviation is that of unknown segments: always 0.
        self.common = nn.Parameter(torch.zeros(hidden + 1))
        self.deviations = nn.Parameter(torch.zeros(segments, hidden + 1))

    def forward(self, features: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        """Return the log odds (rows,) of rows of features; segment -1 has the common head."""
        hidden = torch.relu(self.second(torch.relu(self.first(features))))
        deviations = torch.cat([self.deviations, torch.zeros_like(self.common)[None]])
        heads = self.common + deviations[segments]
        return (hidden * heads[:, :-1]).sum(dim=1) + heads[:, -1]


@dataclass(frozen=True)
class MultiTaskRanker:
    """A fitted ranker.

    Attributes:
        network: The weights of the best epoch.
        shift: (features,) mean of each feature.
        scale: (features,) its standard deviation, infinite for a constant.
        segments: (segments,) sorted ids that have a head.
        log: A dict per epoch: epoch, train_loss, validation_loss, learning_rate.
    """

    network: MultiTaskNetwork
    shift: np.ndarray
    scale: np.ndarray
    segments: np.ndarray
    log: list[dict[str, float]]

    def predict(self, features: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """Return the probability that a candidate is taken.

        Args:
            features: (rows, features), finite.
            segments: (rows,) ids; one that was not there in training has the common head.

        Returns:
            (rows,) float64 between 0 and 1, rounded to 6 digits.
        """
        heads = torch.from_numpy(_heads(segments, self.segments))
        inputs = torch.from_numpy(_standardised(features, self.shift, self.scale))
        with fixed_threads(), torch.inference_mode():
            blocks = [
                self.network(inputs[start : start + BLOCK_ROWS], heads[start : start + BLOCK_ROWS]).sigmoid()
                for start in range(0, len(inputs), BLOCK_ROWS)
            ]
        return np.concatenate([np.zeros(0), *(block.numpy() for block in blocks)]).round(DECIMALS)


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    users: np.ndarray,
    segments: np.ndarray,
    seed: int = 7,
    parameters: MultiTaskParameters | None = None,
) -> MultiTaskRanker:
    """Train a ranker; the loss of users who are left out decides when to stop.

    Args:
        features: (rows, features) of candidates, finite.
        labels: (rows,) 1 where the candidate was taken, else 0.
        users: (rows,) whose candidate it is; of one user all rows are trained on, or none.
        segments: (rows,) id of the user's segment.
        seed: Seed of everything that is random.
        parameters: See MultiTaskParameters; its own seed is not read.

    Returns:
        See MultiTaskRanker.

    Raises:
        ValueError: If there are no rows, or a feature is not finite.
    """
    parameters = parameters or MultiTaskParameters()
    if not len(features):
        raise ValueError("The multi-task ranker has no rows to learn from: take fixed weights.")
    if not np.isfinite(features).all():
        column = int((~np.isfinite(features)).any(axis=0).argmax())
        raise ValueError(f"Feature {column} has values that are not finite numbers: fill them.")
    known, owners = np.unique(users, return_inverse=True)
    random = np.random.default_rng(seed)
    left_out = random.permutation(len(known))[: int(len(known) * VALIDATION_SHARE)]
    is_left_out = np.isin(owners, left_out)
    training = np.flatnonzero(~is_left_out)
    # Too few users to leave any out: early stopping then watches the training rows.
    validation = np.flatnonzero(is_left_out) if is_left_out.any() else training
    shift, scale = features[training].mean(axis=0), features[training].std(axis=0)
    scale = np.where(scale > 1e-9, scale, np.inf)
    ids = np.unique(segments[training])
    inputs = torch.from_numpy(_standardised(features, shift, scale))
    heads = torch.from_numpy(_heads(segments, ids))
    targets = torch.from_numpy(np.asarray(labels, np.float32))
    generator = torch.Generator().manual_seed(seed)
    network = MultiTaskNetwork(features.shape[1], parameters.hidden_dims, len(ids), generator)
    steps = -(-len(training) // parameters.batch_size)

    def losses() -> Iterator[torch.Tensor]:
        for rows in np.array_split(random.permutation(training), steps):
            loss = functional.binary_cross_entropy_with_logits(
                network(inputs[rows], heads[rows]), targets[rows]
            )
            yield loss + parameters.shrinkage / len(training) * network.deviations.square().sum()

    def validate() -> float:
        total = 0.0
        for start in range(0, len(validation), BLOCK_ROWS):
            rows = validation[start : start + BLOCK_ROWS]
            total += functional.binary_cross_entropy_with_logits(
                network(inputs[rows], heads[rows]), targets[rows], reduction="sum"
            ).item()
        return total / len(validation)

    with fixed_threads():
        course = descend(network, losses, validate, steps, parameters, "multi-task ranker")
    return MultiTaskRanker(network, shift, scale, ids, course.log)


def _standardised(features: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((features - shift) / scale, -MAX_DEVIATIONS, MAX_DEVIATIONS).astype(np.float32)


def _heads(segments: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give the position of each segment among the known ones, -1 for others."""
    segments = np.asarray(segments)
    places = np.minimum(np.searchsorted(known, segments), len(known) - 1)
    return np.where(known[places] == segments, places, -1)
