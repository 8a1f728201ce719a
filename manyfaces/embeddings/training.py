"""The course of a training, whatever is trained: epochs, step size, early stopping, the best weights."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from manyfaces.embeddings.parameters import setting
from manyfaces.progress import say

# The same on every machine, so that sums are split in the same way.
TORCH_THREADS = 2
# What is annealed grows over this share of the epochs.
ANNEALING_SHARE = 1 / 3
# An epoch counts as better if it lowers the validation loss by this share.
MIN_IMPROVEMENT = 1e-4
BLOCK_ROWS = 2048

Schedule = Literal["plateau", "cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """What decides the course of a training, whatever is trained.

    Attributes:
        max_epochs: Epochs at most.
        patience: Epochs without a better validation loss after which training stops.
        learning_rate: First step size of Adam.
        schedule: How the step size goes on. plateau halves it after half as many epochs as `patience` without
            a better validation loss, cosine lowers it to 0 over max_epochs (Loshchilov & Hutter 2017, without
            restarts), constant leaves it.
        weight_decay: L2 penalty on the weights (decoupled, AdamW; Loshchilov & Hutter 2019).
        l1_penalty: L1 penalty: this times the sum of the absolute weights, without biases, is added to the
            loss.
        item_dropout: Share of a row's cells that augmentation takes away in each epoch, from the input and
            from what is to be reconstructed.
        crop_share: Augmentation keeps a random share, from this to all, of a row's cells in each epoch; 1 is
            no crop.
        batch_size: Rows in a step.
        max_training_rows: Rows in training and validation; a random sample by seed if there are more.
        seed: Seed of the sample, the first weights, the order, the augmentation and the noise.
    """

    max_epochs: int = setting(60, low=1)
    patience: int = setting(6, low=1)
    learning_rate: float = setting(0.002, above=0)
    schedule: Schedule = "plateau"
    weight_decay: float = setting(0.0, low=0)
    l1_penalty: float = setting(0.0, low=0)
    item_dropout: float = setting(0.0, low=0, below=1)
    crop_share: float = setting(1.0, above=0, high=1)
    batch_size: int = setting(256, low=1)
    max_training_rows: int = setting(10_000, low=1)
    seed: int = setting(7, low=0)


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        log: A dict per epoch: epoch, what the steps and the validation reported, learning_rate.
        best_epoch: Epoch with the lowest validation loss.
        best_loss: That loss.
    """

    log: list[dict[str, float]]
    best_epoch: int
    best_loss: float


def train(
    network: nn.Module,
    rows: sparse.csr_array,
    parameters: TrainingParameters,
    optimisers: Sequence[torch.optim.Optimizer],
    step: Callable[[torch.Tensor, float], Mapping[str, float]],
    validate: Callable[[float], Mapping[str, float]],
    generator: torch.Generator,
    name: str,
) -> Course:
    """Train a network until the validation loss no longer falls, and leave it with its best epoch's weights.

    Args:
        network: What is trained.
        rows: Training rows (n, m).
        parameters: See TrainingParameters.
        optimisers: Those that `step` uses, for the schedule of the step size. The first one's is logged.
        step: Takes an augmented batch (b, m) and how far the annealing is, from above 0 to 1; moves the
            weights and returns losses by name, means per row.
        validate: Takes how far the annealing is, returns what to log of the epoch; `validation_loss` decides.
        generator: Of the order and the augmentation.
        name: For the progress lines.
    """
    schedulers = [_scheduler(optimiser, parameters) for optimiser in optimisers]
    batches = max(-(-rows.shape[0] // parameters.batch_size), 1)
    annealing_steps = max(int(parameters.max_epochs * ANNEALING_SHARE) * batches, 1)
    log: list[dict[str, float]] = []
    best_loss, best_epoch, best_weights, steps = math.inf, 0, weights_of(network), 0
    for epoch in range(1, parameters.max_epochs + 1):
        network.train()
        totals: dict[str, float] = {}
        order = torch.randperm(rows.shape[0], generator=generator).numpy()
        for chosen in np.array_split(order, batches):
            steps += 1
            annealing = min(steps / annealing_steps, 1.0)
            batch = augment(torch.from_numpy(rows[chosen].toarray()), parameters, generator)
            for column, value in step(batch, annealing).items():
                totals[column] = totals.get(column, 0.0) + value * len(chosen) / rows.shape[0]
        learning_rate = optimisers[0].param_groups[0]["lr"]
        network.eval()
        entry = totals | dict(validate(annealing)) | {"learning_rate": learning_rate}
        for scheduler in schedulers:
            _advance(scheduler, entry["validation_loss"])
        log.append({"epoch": epoch} | {column: round(value, 6) for column, value in entry.items()})
        losses = ", ".join(f"{column.replace('_', ' ')} {value:.4g}" for column, value in totals.items())
        say(
            f"{name}: epoch {epoch}/{parameters.max_epochs}, {losses}, "
            f"validation {entry['validation_loss']:.4f}"
        )
        if entry["validation_loss"] < best_loss - MIN_IMPROVEMENT * abs(best_loss) or epoch == 1:
            best_loss, best_epoch, best_weights = entry["validation_loss"], epoch, weights_of(network)
        elif epoch - best_epoch >= parameters.patience:
            break
    network.load_state_dict(best_weights)
    network.eval()
    return Course(log, best_epoch, best_loss)


def augment(rows: torch.Tensor, parameters: TrainingParameters, generator: torch.Generator) -> torch.Tensor:
    """Return rows (n, m) without the cells that item_dropout and the crop take away; 0 stands for absent."""
    if parameters.item_dropout > 0:
        rows = rows * (torch.rand(rows.shape, generator=generator) >= parameters.item_dropout)
    if parameters.crop_share < 1:
        share = torch.rand((len(rows), 1), generator=generator)
        kept = parameters.crop_share + (1 - parameters.crop_share) * share
        rows = rows * (torch.rand(rows.shape, generator=generator) < kept)
    return rows


def adam(
    weights: Iterator[nn.Parameter], parameters: TrainingParameters, step_share: float = 1.0
) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters, with a share of their first step size."""
    return torch.optim.AdamW(
        weights, parameters.learning_rate * step_share, weight_decay=parameters.weight_decay
    )


def l1_loss(network: nn.Module, parameters: TrainingParameters) -> torch.Tensor | float:
    """Return the L1 penalty of a network's weights."""
    if parameters.l1_penalty == 0:
        return 0.0
    sums = [weight.abs().sum() for name, weight in network.named_parameters() if name.endswith("weight")]
    return parameters.l1_penalty * torch.stack(sums).sum()


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the weights by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def dense_blocks(matrix: sparse.csr_array | np.ndarray) -> Iterator[torch.Tensor]:
    """Yield a matrix as dense float32 tensors of at most BLOCK_ROWS rows."""
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    for start in range(0, matrix.shape[0], BLOCK_ROWS):
        yield torch.from_numpy(matrix[start : start + BLOCK_ROWS].toarray())


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Let torch use TORCH_THREADS threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(TORCH_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _scheduler(optimiser: torch.optim.Optimizer, parameters: TrainingParameters) -> LRScheduler | None:
    if parameters.schedule == "plateau":
        stalled = max(parameters.patience // 2, 1)
        return ReduceLROnPlateau(optimiser, factor=0.5, patience=stalled, threshold=MIN_IMPROVEMENT)
    if parameters.schedule == "cosine":
        return CosineAnnealingLR(optimiser, parameters.max_epochs)
    if parameters.schedule == "constant":
        return None
    raise ValueError(f"Unknown schedule '{parameters.schedule}': take plateau, cosine or constant.")


def _advance(scheduler: LRScheduler | None, validation_loss: float) -> None:
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(validation_loss)
    elif scheduler is not None:
        scheduler.step()
