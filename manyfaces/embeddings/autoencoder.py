"""Variational autoencoders of users: one class for interaction counts and for dense features.

A user's vector is the mean of the latent distribution, never the reconstruction: the reconstruction lives in
the space of the inputs again, and clustering it would only cluster a smoothed copy of them.

Sources: Kingma & Welling 2014 (Auto-Encoding Variational Bayes); Liang, Krishnan, Hoffman & Jebara 2018
(Variational Autoencoders for Collaborative Filtering) for the multinomial likelihood, the normalised and
dropped-out input and the annealed weight of the KL divergence.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from manyfaces.embeddings.pooling import round_vectors
from manyfaces.progress import say
from manyfaces.store import Artifact

MODEL_VERSION = "vae-1"
# The same on every machine, so that sums are split in the same way.
TORCH_THREADS = 2
VALIDATION_SHARE = 0.1
MAX_VALIDATION_ROWS = 2000
HELD_OUT_SHARE = 0.2
# The weight of the KL divergence grows over this share of the epochs.
ANNEALING_SHARE = 1 / 3
# An epoch counts as better if it lowers the validation loss by this share.
MIN_IMPROVEMENT = 1e-4
NDCG_AT = 100
BLOCK_ROWS = 2048

Likelihood = Literal["multinomial", "bernoulli", "gaussian"]


@dataclass(frozen=True)
class VaeParameters:
    """Everything that decides what a training does, besides the data.

    Attributes:
        likelihood: multinomial for counts or affinities by item, bernoulli for features within [0, 1],
            gaussian for standardised features.
        hidden_dims: Width of the encoder's hidden layers from input to latent; the decoder mirrors them.
        latent_dims: Length of a user's vector.
        dropout: Share of a row's inputs that is hidden in training.
        max_epochs: Epochs at most.
        patience: Epochs without a better validation loss after which training stops. The learning rate is
            halved after half as many.
        max_beta: Final weight of the KL divergence.
        learning_rate: First step size of Adam.
        max_training_rows: Rows in training and validation; a random sample by seed if there are more.
        seed: Seed of the sample, the first weights, the order, the dropout and the noise.
        weight_decay: L2 penalty on the weights (decoupled, AdamW).
        batch_size: Rows in a step.
    """

    likelihood: Likelihood
    hidden_dims: tuple[int, ...]
    latent_dims: int
    dropout: float
    max_epochs: int
    patience: int
    max_beta: float
    learning_rate: float
    max_training_rows: int
    seed: int
    weight_decay: float = 0.0
    batch_size: int = 256


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return the KL divergence (n,) of N(mean, exp(log_variance)) from N(0, 1), in nats, summed over columns.

    -1/2 * sum(1 + log_variance - mean^2 - exp(log_variance)), Kingma & Welling 2014, appendix B.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=-1)


class VariationalAutoencoder(nn.Module):
    """Encoder to mean and log variance, reparameterisation, mirrored decoder; tanh between layers."""

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
        # The last layer of the encoder gives mean and log variance side by side.
        self.encoder = _layers(input_dims, *hidden_dims, 2 * latent_dims)
        self.decoder = _layers(latent_dims, *reversed(hidden_dims), input_dims)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def encode(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log variance (n, latent_dims) of rows (n, input_dims)."""
        hidden = functional.normalize(inputs) if self.likelihood == "multinomial" else inputs
        if self.training and self.dropout > 0:
            kept = torch.rand(hidden.shape, generator=self.generator) >= self.dropout
            hidden = hidden * kept / (1 - self.dropout)
        mean, log_variance = self.encoder(hidden).chunk(2, dim=-1)
        return mean, log_variance

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return decoded rows, mean and log variance; the latent vector is sampled only in training."""
        mean, log_variance = self.encode(inputs)
        latent = mean
        if self.training:
            noise = torch.randn(mean.shape, generator=self.generator)
            latent = mean + noise * (0.5 * log_variance).exp()
        return self.decoder(latent), mean, log_variance

    def reconstruction_loss(self, decoded: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood (n,) of the rows, up to a constant, summed over the inputs."""
        if self.likelihood == "multinomial":
            return -(inputs * functional.log_softmax(decoded, dim=-1)).sum(dim=-1)
        if self.likelihood == "bernoulli":
            return functional.binary_cross_entropy_with_logits(decoded, inputs, reduction="none").sum(dim=-1)
        return 0.5 * (decoded - inputs).square().sum(dim=-1)


def _layers(*dims: int) -> nn.Sequential:
    # Without torch's own first weights, which would be drawn from the global generator.
    linear = [nn.utils.skip_init(nn.Linear, before, after) for before, after in pairwise(dims)]
    return nn.Sequential(*[step for layer in linear for step in (layer, nn.Tanh())][:-1])


def fit_vae(matrix: sparse.csr_array | np.ndarray, parameters: VaeParameters) -> Artifact:
    """Train an autoencoder on the rows of a matrix, with early stopping on rows left out.

    Args:
        matrix: Rows (users) x columns (items or features), sparse or dense, (n, m).
        parameters: See VaeParameters.

    Returns:
        The weights of the epoch with the lowest validation loss, with the course of training in
        `meta["log"]`: epoch, train_loss, reconstruction_loss and kl_divergence (means per training row, in
        nats), validation_loss, beta, learning_rate. With the multinomial likelihood the validation loss is
        the negative log-likelihood per unit of weight of held-out cells, given the row's other cells;
        otherwise it is the loss of the rows left out. Without rows or columns there is nothing to learn and
        there are no weights.

    Raises:
        ValueError: If a value is not finite, negative under the multinomial, or outside [0, 1] under the
            Bernoulli likelihood.
    """
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    _check_values(matrix, parameters.likelihood)
    meta = {
        "algorithm": f"variational autoencoder, {parameters.likelihood}",
        "parameters": asdict(parameters) | {"input_dims": matrix.shape[1]},
        "rows": matrix.shape[0],
        "metrics": {},
        "log": [],
    }
    if 0 in matrix.shape:
        return Artifact({}, meta)
    random = np.random.default_rng(parameters.seed)
    rows = random.permutation(matrix.shape[0])[: parameters.max_training_rows]
    left_out = min(int(len(rows) * VALIDATION_SHARE), MAX_VALIDATION_ROWS)
    # Too few rows to leave any out: early stopping then watches the training rows.
    validation_rows, training_rows = (rows[:left_out], rows[left_out:]) if left_out else (rows, rows)
    known, held_out = matrix[validation_rows], matrix[validation_rows]
    if parameters.likelihood == "multinomial":
        known, held_out = _hold_out(known, random)
    with _fixed_threads():
        return _train(matrix[np.sort(training_rows)], known, held_out, parameters, meta)


def _train(
    training: sparse.csr_array,
    known: sparse.csr_array,
    held_out: sparse.csr_array,
    parameters: VaeParameters,
    meta: dict,
) -> Artifact:
    generator = torch.Generator().manual_seed(parameters.seed)
    model = _build(parameters, training.shape[1], generator)
    optimiser = torch.optim.AdamW(
        model.parameters(), parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=max(parameters.patience // 2, 1), threshold=MIN_IMPROVEMENT
    )
    batches = max(-(-training.shape[0] // parameters.batch_size), 1)
    annealing_steps = max(int(parameters.max_epochs * ANNEALING_SHARE) * batches, 1)
    best_loss, best_epoch, best_weights, step = math.inf, 0, _weights(model), 0
    for epoch in range(1, parameters.max_epochs + 1):
        model.train()
        totals = np.zeros(3)
        order = torch.randperm(training.shape[0], generator=generator).numpy()
        for chosen in np.array_split(order, batches):
            step += 1
            beta = parameters.max_beta * min(step / annealing_steps, 1.0)
            inputs = torch.from_numpy(training[chosen].toarray())
            decoded, mean, log_variance = model(inputs)
            reconstruction = model.reconstruction_loss(decoded, inputs).mean()
            divergence = kl_divergence(mean, log_variance).mean()
            loss = reconstruction + beta * divergence
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses = [loss.item(), reconstruction.item(), divergence.item()]
            totals += np.array(losses) * len(chosen) / training.shape[0]
        learning_rate = optimiser.param_groups[0]["lr"]
        validation_loss = _validate(model, known, held_out, beta)
        scheduler.step(validation_loss)
        entry = dict(
            zip(("train_loss", "reconstruction_loss", "kl_divergence"), totals.tolist(), strict=True)
        )
        entry |= {"validation_loss": validation_loss, "beta": beta, "learning_rate": learning_rate}
        meta["log"].append({"epoch": epoch} | {name: round(value, 6) for name, value in entry.items()})
        say(
            f"autoencoder: epoch {epoch}/{parameters.max_epochs}, loss {totals[0]:.3f}, "
            f"KL {totals[2]:.3f}, validation {validation_loss:.4f}"
        )
        if validation_loss < best_loss - MIN_IMPROVEMENT * abs(best_loss) or epoch == 1:
            best_loss, best_epoch, best_weights = validation_loss, epoch, _weights(model)
        elif epoch - best_epoch >= parameters.patience:
            break
    model.load_state_dict(best_weights)
    popularity = torch.from_numpy(np.asarray(training.sum(axis=0), np.float32))
    meta["metrics"] = _metrics(model, known, held_out, popularity) | {
        "epochs": len(meta["log"]),
        "best_epoch": best_epoch,
        "validation_loss": round(best_loss, 6),
        "training_rows": training.shape[0],
    }
    return Artifact({name: tensor.numpy() for name, tensor in best_weights.items()}, meta)


def encode(matrix: sparse.csr_array | np.ndarray, artifact: Artifact) -> np.ndarray:
    """Return the latent means of rows under a fitted autoencoder, without training.

    Args:
        matrix: Rows x the columns of the training, (n, m).
        artifact: What fit_vae returned.

    Returns:
        float32 (n, latent_dims), rounded to 6 digits; zeros if the autoencoder was fitted on nothing.

    Raises:
        ValueError: If the number of columns is not that of the training.
    """
    stored = artifact.meta["parameters"]
    if matrix.shape[1] != stored["input_dims"]:
        raise ValueError(f"The autoencoder reads {stored['input_dims']} columns, not {matrix.shape[1]}.")
    if not artifact.arrays or matrix.shape[0] == 0:
        return np.zeros((matrix.shape[0], stored["latent_dims"]), np.float32)
    names = VaeParameters.__dataclass_fields__
    parameters = VaeParameters(**{name: stored[name] for name in names})
    model = _build(parameters, stored["input_dims"])
    model.load_state_dict({name: torch.from_numpy(array) for name, array in artifact.arrays.items()})
    model.eval()
    with _fixed_threads(), torch.inference_mode():
        means = [model.encode(block)[0].numpy() for block in _dense_blocks(matrix)]
    return round_vectors(np.concatenate(means))


def _build(
    parameters: VaeParameters, input_dims: int, generator: torch.Generator | None = None
) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        input_dims,
        parameters.likelihood,
        tuple(parameters.hidden_dims),
        parameters.latent_dims,
        parameters.dropout,
        generator,
    )


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _check_values(matrix: sparse.csr_array, likelihood: Likelihood) -> None:
    if matrix.nnz == 0:
        return
    if not np.isfinite(matrix.data).all():
        raise ValueError("The autoencoder's input holds values that are not finite numbers.")
    lowest, highest = matrix.data.min(), matrix.data.max()
    if likelihood == "bernoulli" and (lowest < 0 or highest > 1):
        raise ValueError(
            f"The Bernoulli likelihood needs inputs within [0, 1], but they reach from {lowest:g} to "
            f"{highest:g}: scale them, or take the Gaussian likelihood."
        )
    if likelihood == "multinomial" and lowest < 0:
        raise ValueError(
            f"The multinomial likelihood needs inputs of at least 0, but the lowest is {lowest:g}."
        )


def _hold_out(
    matrix: sparse.csr_array, random: np.random.Generator
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Split the cells of each row at random into known ones and held-out ones."""
    hidden = random.random(matrix.nnz) < HELD_OUT_SHARE
    parts = []
    for chosen in (~hidden, hidden):
        part = matrix.copy()
        part.data = np.where(chosen, part.data, np.float32(0))
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def _dense_blocks(matrix: sparse.csr_array | np.ndarray) -> Iterator[torch.Tensor]:
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    for start in range(0, matrix.shape[0], BLOCK_ROWS):
        yield torch.from_numpy(matrix[start : start + BLOCK_ROWS].toarray())


def _validate(
    model: VariationalAutoencoder, known: sparse.csr_array, held_out: sparse.csr_array, beta: float
) -> float:
    model.eval()
    loss, weight = 0.0, 0.0
    with torch.inference_mode():
        for inputs, targets in zip(_dense_blocks(known), _dense_blocks(held_out), strict=True):
            decoded, mean, log_variance = model(inputs)
            losses = model.reconstruction_loss(decoded, targets)
            if model.likelihood == "multinomial":
                weight += targets.sum().item()
            else:
                losses = losses + beta * kl_divergence(mean, log_variance)
                weight += len(inputs)
            loss += losses.sum().item()
    return loss / weight if weight > 0 else 0.0


def _metrics(
    model: VariationalAutoencoder,
    known: sparse.csr_array,
    held_out: sparse.csr_array,
    popularity: torch.Tensor,
) -> dict[str, float]:
    """Return how many latent dimensions are in use, and how well held-out items of unseen users rank.

    `popularity` (m,) is the ranking to beat.
    """
    model.eval()
    means, gains, popular_gains, ranked_rows = [], 0.0, 0.0, 0
    with torch.inference_mode():
        for inputs, targets in zip(_dense_blocks(known), _dense_blocks(held_out), strict=True):
            decoded, mean, _ = model(inputs)
            means.append(mean.numpy())
            if model.likelihood == "multinomial":
                wanted = (targets > 0).any(dim=1)
                ranked_rows += int(wanted.sum())
                seen, targets = inputs[wanted] > 0, targets[wanted] > 0
                gains += _ndcg(decoded[wanted].masked_fill(seen, -math.inf), targets)
                popular_gains += _ndcg(popularity.expand(seen.shape).masked_fill(seen, -math.inf), targets)
    metrics = {"active_latent_dims": int((np.concatenate(means).var(axis=0) > 0.01).sum())}
    if ranked_rows:
        metrics[f"validation_ndcg_at_{NDCG_AT}"] = round(gains / ranked_rows, 6)
        metrics[f"popularity_ndcg_at_{NDCG_AT}"] = round(popular_gains / ranked_rows, 6)
    return metrics


def _ndcg(scores: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the summed NDCG of rows of scores (n, m) against their wanted items (n, m; boolean)."""
    top = scores.topk(min(NDCG_AT, scores.shape[1])).indices
    discounts = 1 / torch.arange(2, top.shape[1] + 2, dtype=torch.float64).log2()
    reached = (targets.gather(1, top) * discounts).sum(dim=1)
    wanted = targets.sum(dim=1).clamp(max=top.shape[1])
    return float((reached / discounts.cumsum(0)[wanted - 1]).sum())


@contextmanager
def _fixed_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(TORCH_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
