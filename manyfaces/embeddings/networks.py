"""The networks of the autoencoders: layers, latent vectors, likelihoods.

Sources: Hinton & Salakhutdinov 2006 (Reducing the Dimensionality of Data with Neural Networks) for the plain
one; Kingma & Welling 2014 (Auto-Encoding Variational Bayes) for the variational one; Liang, Krishnan, Hoffman
& Jebara 2018 (Variational Autoencoders for Collaborative Filtering) for the multinomial likelihood.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Likelihood = Literal["multinomial", "bernoulli", "gaussian"]


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return the KL divergence (n,) of N(mean, exp(log_variance)) from N(0, 1), in nats, summed over columns.

    -1/2 * sum(1 + log_variance - mean^2 - exp(log_variance)), Kingma & Welling 2014, appendix B.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=-1)


class Autoencoder(nn.Module):
    """Encoder to a latent vector and mirrored decoder; tanh between layers."""

    # How many numbers the encoder gives for each latent dimension.
    numbers_per_dimension = 1

    def __init__(
        self,
        input_dims: int,
        likelihood: Likelihood,
        hidden_dims: tuple[int, ...],
        latent_dims: int,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the first weights (Glorot) and all noise from `generator`, never from the global one."""
        super().__init__()
        generator = generator or torch.Generator()
        if likelihood not in ("multinomial", "bernoulli", "gaussian"):
            raise ValueError(f"Unknown likelihood '{likelihood}': take multinomial, bernoulli or gaussian.")
        self.likelihood, self.dropout, self.generator = likelihood, dropout, generator
        self.encoder = layers(input_dims, *hidden_dims, self.numbers_per_dimension * latent_dims)
        self.decoder = layers(latent_dims, *reversed(hidden_dims), input_dims)
        draw_weights(self, generator)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the encoder gives for rows (n, input_dims)."""
        hidden = functional.normalize(inputs) if self.likelihood == "multinomial" else inputs
        if self.training and self.dropout > 0:
            kept = torch.rand(hidden.shape, generator=self.generator) >= self.dropout
            hidden = hidden * kept / (1 - self.dropout)
        return self.encoder(hidden)

    def vectors(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the vectors (n, latent_dims) of rows."""
        return self.encode(inputs)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return decoded rows and their vectors."""
        latent = self.encode(inputs)
        return self.decoder(latent), latent

    def reconstruction_loss(self, decoded: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood (n,) of the rows, up to a constant, summed over the inputs."""
        if self.likelihood == "multinomial":
            return -(inputs * functional.log_softmax(decoded, dim=-1)).sum(dim=-1)
        if self.likelihood == "bernoulli":
            return functional.binary_cross_entropy_with_logits(decoded, inputs, reduction="none").sum(dim=-1)
        return 0.5 * (decoded - inputs).square().sum(dim=-1)


class VariationalAutoencoder(Autoencoder):
    """Encoder to mean and log variance, reparameterisation, mirrored decoder."""

    # The last layer of the encoder gives mean and log variance side by side.
    numbers_per_dimension = 2

    def encode(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log variance (n, latent_dims) of rows (n, input_dims)."""
        mean, log_variance = super().encode(inputs).chunk(2, dim=-1)
        return mean, log_variance

    def vectors(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the latent means (n, latent_dims) of rows."""
        return self.encode(inputs)[0]

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return decoded rows, mean and log variance; the latent vector is sampled only in training."""
        mean, log_variance = self.encode(inputs)
        latent = mean
        if self.training:
            noise = torch.randn(mean.shape, generator=self.generator)
            latent = mean + noise * (0.5 * log_variance).exp()
        return self.decoder(latent), mean, log_variance


def layers(*dims: int) -> nn.Sequential:
    """Return fully connected layers with tanh between them, their weights not yet drawn."""
    # Without torch's own first weights, which would be drawn from the global generator.
    linear = [nn.utils.skip_init(nn.Linear, before, after) for before, after in pairwise(dims)]
    return nn.Sequential(*[step for layer in linear for step in (layer, nn.Tanh())][:-1])


def draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the first weights of all layers (Glorot); biases are 0."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            nn.init.xavier_uniform_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
