"""Gradient descent with warm-up, a schedule of the step size and early stopping, whatever is trained."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from manyfaces.progress import say

# The same on every machine, so that sums are split in the same way.
TORCH_THREADS = 2
# An epoch counts as better if it lowers the validation loss by this share.
MIN_IMPROVEMENT = 1e-4

Schedule = Literal["plateau", "cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class DescentParameters:
    """What decides the course of a descent.

    Attributes:
        max_epochs: Epochs at most.
        patience: Epochs without a better validation loss after which training stops.
        learning_rate: Step size of Adam after the warm-up.
        schedule: How the step size goes on. plateau halves it after half as many epochs as `patience` without
            a better validation loss, cosine lowers it to 0 over max_epochs (Loshchilov & Hutter 2017, without
            restarts), constant leaves it.
        warmup_steps: Steps in which the step size grows from 0 (Vaswani et al. 2017).
        weight_decay: L2 penalty on the weights (decoupled, AdamW; Loshchilov & Hutter 2019).
        batch_size: Rows in a step.
        seed: Seed of everything that is random.
    """

    max_epochs: int = 40
    patience: int = 5
    learning_rate: float = 0.001
    schedule: Schedule = "plateau"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    batch_size: int = 128
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what no descent can work with.

        Raises:
            ValueError: If a parameter is out of its range.
        """
        require(
            self,
            at_least_one=("max_epochs", "patience", "batch_size"),
            at_least_zero=("warmup_steps", "weight_decay", "seed"),
            above_zero=("learning_rate",),
        )
        if self.schedule not in ("plateau", "cosine", "constant"):
            raise ValueError(f"Unknown schedule '{self.schedule}': take plateau, cosine or constant.")


@dataclass(frozen=True)
class Descent:
    """How a descent went.

    Attributes:
        log: A dict per epoch: epoch, train_loss (mean of the steps), validation_loss, learning_rate.
        best_epoch: Epoch with the lowest validation loss.
        best_loss: That loss.
    """

    log: list[dict[str, float]]
    best_epoch: int
    best_loss: float


def descend(
    network: nn.Module,
    losses: Callable[[], Iterable[torch.Tensor]],
    validate: Callable[[], float],
    steps_per_epoch: int,
    parameters: DescentParameters,
    name: str,
) -> Descent:
    """Train a network until its validation loss no longer falls; leave it with the best epoch's weights.

    Args:
        network: What is trained.
        losses: Called once an epoch; yields the loss of each step, a scalar with a gradient.
        validate: Called after each epoch, without gradients; its value decides when to stop.
        steps_per_epoch: How many losses an epoch yields.
        parameters: See DescentParameters.
        name: For the progress lines.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    log: list[dict[str, float]] = []
    best_loss, best_epoch, best_weights = math.inf, 0, weights_of(network)
    step, halvings = 0, 0
    for epoch in range(1, parameters.max_epochs + 1):
        network.train()
        total = 0.0
        for loss in losses():
            step += 1
            share = _share_of_step_size(step, steps_per_epoch, parameters) / 2**halvings
            optimiser.param_groups[0]["lr"] = parameters.learning_rate * share
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() / steps_per_epoch
        network.eval()
        with torch.inference_mode():
            validation_loss = validate()
        entry = {
            "train_loss": total,
            "validation_loss": validation_loss,
            "learning_rate": optimiser.param_groups[0]["lr"],
        }
        log.append({"epoch": epoch} | {column: round(value, 6) for column, value in entry.items()})
        say(
            f"{name}: epoch {epoch}/{parameters.max_epochs}, loss {total:.4f}, "
            f"validation {validation_loss:.4f}"
        )
        if epoch == 1 or validation_loss < best_loss - MIN_IMPROVEMENT * abs(best_loss):
            best_loss, best_epoch, best_weights = validation_loss, epoch, weights_of(network)
        elif epoch - best_epoch >= parameters.patience:
            break
        elif parameters.schedule == "plateau":
            halvings += (epoch - best_epoch) % max(parameters.patience // 2, 1) == 0
    network.load_state_dict(best_weights)
    network.eval()
    return Descent(log, best_epoch, best_loss)


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the weights by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Let torch use TORCH_THREADS threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(TORCH_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require(
    parameters: object,
    at_least_one: Iterable[str] = (),
    at_least_zero: Iterable[str] = (),
    above_zero: Iterable[str] = (),
    shares: Iterable[str] = (),
) -> None:
    """Hold fields of a dataclass of parameters to their ranges; a share is at least 0 and below 1.

    Raises:
        ValueError: That names the first field out of its range, and the range.
    """
    rules = [
        (at_least_one, "at least 1", lambda value: value >= 1),
        (at_least_zero, "at least 0", lambda value: value >= 0),
        (above_zero, "above 0", lambda value: value > 0),
        (shares, "at least 0 and below 1", lambda value: 0 <= value < 1),
    ]
    for names, words, holds in rules:
        for name in names:
            value = getattr(parameters, name)
            if not holds(value):
                raise ValueError(f"{name} is {value!r} but must be {words}.")


def _share_of_step_size(step: int, steps_per_epoch: int, parameters: DescentParameters) -> float:
    warm = min(step / parameters.warmup_steps, 1.0) if parameters.warmup_steps else 1.0
    if parameters.schedule != "cosine":
        return warm
    return warm * (1 + math.cos(math.pi * step / (steps_per_epoch * parameters.max_epochs))) / 2
