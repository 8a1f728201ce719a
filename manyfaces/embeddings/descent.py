"""Gradient descent over losses that come step by step: warm-up, schedule of the step size, early stopping.

For what does not train on rows of one matrix, as `training.train` does.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.training import MIN_IMPROVEMENT, Course, Schedule, weights_of
from manyfaces.progress import say


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

    max_epochs: int = setting(25, low=1)
    patience: int = setting(6, low=1)
    learning_rate: float = setting(0.003, above=0)
    schedule: Schedule = "plateau"
    warmup_steps: int = setting(100, low=0)
    weight_decay: float = setting(0.01, low=0)
    batch_size: int = setting(64, low=1)
    seed: int = setting(7, low=0)


def descend(
    network: nn.Module,
    losses: Callable[[], Iterable[torch.Tensor]],
    validate: Callable[[], float],
    steps_per_epoch: int,
    parameters: DescentParameters,
    name: str,
) -> Course:
    """Train a network until its validation loss no longer falls; leave it with the best epoch's weights.

    Args:
        network: What is trained.
        losses: Called once an epoch; yields the loss of each step, a scalar with a gradient.
        validate: Called after each epoch, without gradients; its value decides when to stop.
        steps_per_epoch: How many losses an epoch yields.
        parameters: See DescentParameters.
        name: For the progress lines.

    Returns:
        The course; its log has epoch, train_loss (mean of the steps), validation_loss and learning_rate.

    Raises:
        ValueError: If the schedule is unknown.
    """
    if parameters.schedule not in ("plateau", "cosine", "constant"):
        raise ValueError(f"Unknown schedule '{parameters.schedule}': take plateau, cosine or constant.")
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
    return Course(log, best_epoch, best_loss)


def _share_of_step_size(step: int, steps_per_epoch: int, parameters: DescentParameters) -> float:
    warm = min(step / parameters.warmup_steps, 1.0) if parameters.warmup_steps else 1.0
    if parameters.schedule != "cosine":
        return warm
    return warm * (1 + math.cos(math.pi * step / (steps_per_epoch * parameters.max_epochs))) / 2
