"""Adversarial autoencoder: a second network tells latent vectors from normal ones, the encoder deceives it.

Where the variational autoencoder pays for the divergence of each user from N(0, 1), this one only asks that
the vectors of all users together look like it.

Source: Makhzani, Shlens, Jaitly, Goodfellow & Frey 2015 (Adversarial Autoencoders): the reconstruction phase
and the regularisation phase of a batch, each with an optimiser of its own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from manyfaces.embeddings import autoencoder
from manyfaces.embeddings.autoencoder import AutoencoderParameters, Rows, descend, noisy
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.inputs import read_inputs, read_inputs_again
from manyfaces.embeddings.networks import Autoencoder, draw_weights, layers
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.training import Course, adam, dense_blocks, l1_loss, train
from manyfaces.store import Artifact

version = "adversarial-1"


@dataclass(frozen=True, kw_only=True)
class Parameters(AutoencoderParameters):
    """Parameters of `adversarial`; see AutoencoderParameters for the others.

    Attributes:
        max_items: Items with the most users that are read, at most, if the likelihood is multinomial.
        discriminator_dims: Width of the hidden layers of the network that tells vectors apart.
        adversarial_weight: How much the encoder cares to deceive it: the step size of the encoder in the
            regularisation phase as a share of learning_rate.
    """

    max_items: int = setting(4000, low=1)
    discriminator_dims: tuple[int, ...] = setting((64,), low=1)
    adversarial_weight: float = setting(0.25, above=0)


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Train on the items (multinomial likelihood) or the features (the others); see Encoder.

    The log has the reconstruction loss and, as train_loss, its sum with the loss of the deceiving encoder.
    The metric discriminator_accuracy is 0.5 if the vectors of the rows left out cannot be told from N(0, 1).

    Raises:
        ValueError: If a value is not finite, or an affinity is negative.
    """
    matrix, arrays = read_inputs(history, parameters, parameters.max_items)
    accuracy: list[float] = []

    def training(network: Autoencoder, rows: Rows, parameters: Parameters) -> Course:
        discriminator = layers(parameters.latent_dims, *parameters.discriminator_dims, 1)
        draw_weights(discriminator, network.generator)
        course = _train(network, discriminator, rows, parameters)
        accuracy.append(_accuracy(network, discriminator, rows))
        return course

    artifact = autoencoder.fit_network(matrix, parameters, "adversarial autoencoder", Autoencoder, training)
    artifact.arrays |= arrays
    if accuracy:
        artifact.meta["metrics"]["discriminator_accuracy"] = round(accuracy[0], 6)
    return artifact


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the latent vectors (n, latent_dims); zeros if the fit had nothing to learn from."""
    return autoencoder.encode(read_inputs_again(history, artifact), artifact, Autoencoder)


def _train(network: Autoencoder, discriminator: nn.Module, rows: Rows, parameters: Parameters) -> Course:
    reconstructing = adam(network.parameters(), parameters)
    deceiving = adam(network.encoder.parameters(), parameters, parameters.adversarial_weight)
    discriminating = adam(discriminator.parameters(), parameters)
    generator = network.generator

    def step(batch: torch.Tensor, _annealing: float) -> dict[str, float]:
        inputs = noisy(batch, parameters, generator)
        reconstruction = network.reconstruction_loss(network(inputs)[0], batch).mean()
        loss = reconstruction + l1_loss(network, parameters)
        descend(reconstructing, loss)

        found = network.vectors(inputs)
        drawn = torch.randn(found.shape, generator=generator)
        telling = _telling_loss(discriminator, drawn, found.detach())
        descend(discriminating, telling)

        taken_for_drawn = discriminator(found)
        deception = binary_cross_entropy_with_logits(taken_for_drawn, torch.ones_like(taken_for_drawn))
        descend(deceiving, deception)
        return {
            "train_loss": loss.item() + deception.item(),
            "reconstruction_loss": reconstruction.item(),
        }

    return train(
        network,
        rows.training,
        parameters,
        [reconstructing, deceiving, discriminating],
        step,
        lambda _annealing: {"validation_loss": autoencoder.reconstruction_of_rows_left_out(network, rows)},
        generator,
        "adversarial autoencoder",
    )


def _telling_loss(discriminator: nn.Module, drawn: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of telling drawn vectors (b, d), which are 1, from found ones, which are 0."""
    logits = discriminator(torch.cat([drawn, found]))
    truth = torch.cat([torch.ones(len(drawn), 1), torch.zeros(len(found), 1)])
    return binary_cross_entropy_with_logits(logits, truth)


def _accuracy(network: Autoencoder, discriminator: nn.Module, rows: Rows) -> float:
    """Return how often the discriminator is right about rows left out and as many drawn vectors."""
    with torch.inference_mode():
        found = torch.cat([network.vectors(block) for block in dense_blocks(rows.known)])
        drawn = torch.randn(found.shape, generator=network.generator)
        right = (discriminator(found) < 0).sum() + (discriminator(drawn) >= 0).sum()
    return float(right) / (2 * len(found))
