"""Autoencoders of users, variational and plain: for interaction counts and for dense features.

A user's vector is the mean of the latent distribution, never the reconstruction: the reconstruction lives in
the space of the inputs again, and clustering it would only cluster a smoothed copy of them.

Sources: those of networks.py; the annealed weight of the KL divergence and the ranking of held-out items are
after Liang, Krishnan, Hoffman & Jebara 2018.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy import sparse

from manyfaces.embeddings.networks import Autoencoder, Likelihood, VariationalAutoencoder, kl_divergence
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.embeddings.training import (
    Course,
    TrainingParameters,
    adam,
    dense_blocks,
    fixed_threads,
    l1_loss,
    train,
    weights_of,
)
from manyfaces.store import Artifact

MODEL_VERSION = "vae-1"
VALIDATION_SHARE = 0.1
MAX_VALIDATION_ROWS = 2000
HELD_OUT_SHARE = 0.2
NDCG_AT = 100


@dataclass(frozen=True, kw_only=True)
class AutoencoderParameters(TrainingParameters):
    """Everything that decides what the training of an autoencoder does, besides the data.

    Attributes:
        likelihood: multinomial for counts or affinities by item, bernoulli for features within [0, 1],
            gaussian for standardised features.
        hidden_dims: Width of the encoder's hidden layers from input to latent; the decoder mirrors them.
        latent_dims: Length of a user's vector.
        dropout: Share of a row's inputs that is hidden in training; all of them are to be reconstructed.
        noise: Standard deviation of the normal noise on the inputs in training (Vincent et al. 2008); the
            inputs without it are to be reconstructed. For features only.
    """

    likelihood: Likelihood = "multinomial"
    hidden_dims: tuple[int, ...] = setting((128,), low=1)
    latent_dims: int = setting(32, low=1)
    dropout: float = setting(0.5, low=0, below=1)
    noise: float = setting(0.0, low=0)

    def __post_init__(self) -> None:
        """Refuse noise on counts, which must not become negative."""
        if self.likelihood == "multinomial" and self.noise > 0:
            raise ValueError(
                "noise is for features, not for the multinomial likelihood: take item_dropout or crop_share."
            )


@dataclass(frozen=True, kw_only=True)
class VaeParameters(AutoencoderParameters):
    """Everything that decides what the training of a variational autoencoder does, besides the data.

    Attributes:
        max_beta: Final weight of the KL divergence.
    """

    max_beta: float = setting(0.2, low=0)


@dataclass(frozen=True)
class Rows:
    """The rows of a matrix, split for training and early stopping.

    Attributes:
        training: Rows to train on.
        known: Rows to validate on; with the multinomial likelihood without the cells of `held_out`.
        held_out: What is to be reconstructed of them.
    """

    training: sparse.csr_array
    known: sparse.csr_array
    held_out: sparse.csr_array


def split_rows(matrix: sparse.csr_array, parameters: AutoencoderParameters) -> Rows:
    """Sample the rows that training may read, and leave some of them out for validation."""
    random = np.random.default_rng(parameters.seed)
    rows = random.permutation(matrix.shape[0])[: parameters.max_training_rows]
    left_out = min(int(len(rows) * VALIDATION_SHARE), MAX_VALIDATION_ROWS)
    # Too few rows to leave any out: early stopping then watches the training rows.
    validation_rows, training_rows = (rows[:left_out], rows[left_out:]) if left_out else (rows, rows)
    known, held_out = matrix[validation_rows], matrix[validation_rows]
    if parameters.likelihood == "multinomial":
        known, held_out = _hold_out(known, random)
    return Rows(matrix[np.sort(training_rows)], known, held_out)


def fit_vae(matrix: sparse.csr_array | np.ndarray, parameters: VaeParameters) -> Artifact:
    """Train a variational autoencoder on the rows of a matrix, with early stopping on rows left out.

    Args:
        matrix: Rows (users) x columns (items or features), sparse or dense, (n, m).
        parameters: See VaeParameters.

    Returns:
        The weights of the epoch with the lowest validation loss, with the course of training in
        `meta["log"]`: epoch, train_loss, reconstruction_loss and kl_divergence (means per training row, in
        nats), validation_loss, beta, learning_rate. With the multinomial likelihood the validation loss is
        the negative log-likelihood per unit of weight of held-out cells, given the row's other cells;
        otherwise it is the loss of the rows left out with the final beta. Without rows or columns there is
        nothing to learn and there are no weights.

    Raises:
        ValueError: If a value is not finite, negative under the multinomial, or outside [0, 1] under the
            Bernoulli likelihood.
    """
    return fit_network(
        matrix, parameters, "variational autoencoder", VariationalAutoencoder, _train_variational
    )


def fit_autoencoder(matrix: sparse.csr_array | np.ndarray, parameters: AutoencoderParameters) -> Artifact:
    """Train an autoencoder without a latent distribution; see fit_vae for the rest.

    The log has no KL divergence and no beta: nothing draws the vectors to a common centre.
    """
    return fit_network(matrix, parameters, "autoencoder", Autoencoder, _train_plain)


def fit_network(
    matrix: sparse.csr_array | np.ndarray,
    parameters: AutoencoderParameters,
    algorithm: str,
    network_class: type[Autoencoder],
    training: Callable[[Autoencoder, Rows, AutoencoderParameters], Course],
) -> Artifact:
    """Check and split a matrix, build a network, train it and describe how it went; see fit_vae.

    Args:
        matrix: Rows x columns (n, m).
        parameters: See AutoencoderParameters.
        algorithm: What it is called.
        network_class: What to build.
        training: Trains the network and leaves it with its best weights.
    """
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    check_values(matrix, parameters.likelihood)
    meta = {
        "algorithm": f"{algorithm}, {parameters.likelihood}",
        "parameters": asdict(parameters) | {"input_dims": matrix.shape[1]},
        "rows": matrix.shape[0],
        "metrics": {},
        "log": [],
    }
    if 0 in matrix.shape:
        return Artifact({}, meta)
    rows = split_rows(matrix, parameters)
    generator = torch.Generator().manual_seed(parameters.seed)
    with fixed_threads():
        network = _build(network_class, meta["parameters"], generator)
        course = training(network, rows, parameters)
        popularity = torch.from_numpy(np.asarray(rows.training.sum(axis=0), np.float32))
        metrics = _metrics(network, rows, popularity)
    meta["log"] = course.log
    meta["metrics"] = metrics | {
        "epochs": len(course.log),
        "best_epoch": course.best_epoch,
        "validation_loss": round(course.best_loss, 6),
        "training_rows": rows.training.shape[0],
    }
    return Artifact({name: tensor.numpy() for name, tensor in weights_of(network).items()}, meta)


def encode(
    matrix: sparse.csr_array | np.ndarray,
    artifact: Artifact,
    network_class: type[Autoencoder] = VariationalAutoencoder,
) -> np.ndarray:
    """Return the vectors of rows under a fitted autoencoder, without training.

    Args:
        matrix: Rows x the columns of the training, (n, m).
        artifact: What fit_vae returned, or another fit with its class of network.
        network_class: Class of the network that was fitted.

    Returns:
        float32 (n, latent_dims), rounded to 6 digits; zeros if the autoencoder was fitted on nothing.

    Raises:
        ValueError: If the number of columns is not that of the training.
    """
    stored = artifact.meta["parameters"]
    if matrix.shape[1] != stored["input_dims"]:
        raise ValueError(f"The autoencoder reads {stored['input_dims']} columns, not {matrix.shape[1]}.")
    network = stored_network(artifact, network_class)
    if network is None or matrix.shape[0] == 0:
        return np.zeros((matrix.shape[0], stored["latent_dims"]), np.float32)
    with fixed_threads(), torch.inference_mode():
        vectors = [network.vectors(block).numpy() for block in dense_blocks(matrix)]
    return round_vectors(np.concatenate(vectors))


def stored_network(artifact: Artifact, network_class: type[Autoencoder]) -> Autoencoder | None:
    """Return the network of an artefact, ready to encode; None if it was fitted on nothing."""
    if not any(name.startswith("encoder.") for name in artifact.arrays):
        return None
    network = _build(network_class, artifact.meta["parameters"])
    network.load_state_dict({name: torch.from_numpy(artifact.arrays[name]) for name in network.state_dict()})
    return network.eval()


def check_values(matrix: sparse.csr_array, likelihood: Likelihood) -> None:
    """Raise a ValueError with the reason if the likelihood cannot be that of such values."""
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


def noisy(
    inputs: torch.Tensor, parameters: AutoencoderParameters, generator: torch.Generator
) -> torch.Tensor:
    """Return the inputs with the noise that the parameters ask for."""
    if parameters.noise == 0:
        return inputs
    return inputs + parameters.noise * torch.randn(inputs.shape, generator=generator)


def mean_loss(
    network: Autoencoder, rows: Rows, loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> float:
    """Return the loss of the rows left out: per unit of held-out weight (multinomial), else per row.

    Args:
        network: For its likelihood.
        rows: See Rows.
        loss_of: Takes what is known (b, m) and what is to be reconstructed (b, m); returns losses (b,).
    """
    loss, weight = 0.0, 0.0
    with torch.inference_mode():
        for inputs, targets in zip(dense_blocks(rows.known), dense_blocks(rows.held_out), strict=True):
            weight += targets.sum().item() if network.likelihood == "multinomial" else len(inputs)
            loss += loss_of(inputs, targets).sum().item()
    return loss / weight if weight > 0 else 0.0


def _train_variational(network: VariationalAutoencoder, rows: Rows, parameters: VaeParameters) -> Course:
    optimiser = adam(network.parameters(), parameters)

    def step(batch: torch.Tensor, annealing: float) -> dict[str, float]:
        decoded, mean, log_variance = network(noisy(batch, parameters, network.generator))
        reconstruction = network.reconstruction_loss(decoded, batch).mean()
        divergence = kl_divergence(mean, log_variance).mean()
        loss = reconstruction + parameters.max_beta * annealing * divergence + l1_loss(network, parameters)
        descend(optimiser, loss)
        return {
            "train_loss": loss.item(),
            "reconstruction_loss": reconstruction.item(),
            "kl_divergence": divergence.item(),
        }

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        decoded, mean, log_variance = network(inputs)
        losses = network.reconstruction_loss(decoded, targets)
        if network.likelihood == "multinomial":
            return losses
        # With the final weight from the start: with the growing one later epochs would seem worse.
        return losses + parameters.max_beta * kl_divergence(mean, log_variance)

    def validate(annealing: float) -> dict[str, float]:
        return {
            "validation_loss": mean_loss(network, rows, loss_of),
            "beta": parameters.max_beta * annealing,
        }

    return train(
        network,
        rows.training,
        parameters,
        [optimiser],
        step,
        validate,
        network.generator,
        "variational autoencoder",
    )


def _train_plain(network: Autoencoder, rows: Rows, parameters: AutoencoderParameters) -> Course:
    optimiser = adam(network.parameters(), parameters)

    def step(batch: torch.Tensor, _annealing: float) -> dict[str, float]:
        decoded, _ = network(noisy(batch, parameters, network.generator))
        reconstruction = network.reconstruction_loss(decoded, batch).mean()
        loss = reconstruction + l1_loss(network, parameters)
        descend(optimiser, loss)
        return {"train_loss": loss.item(), "reconstruction_loss": reconstruction.item()}

    return train(
        network,
        rows.training,
        parameters,
        [optimiser],
        step,
        lambda _annealing: {"validation_loss": reconstruction_of_rows_left_out(network, rows)},
        network.generator,
        "autoencoder",
    )


def reconstruction_of_rows_left_out(network: Autoencoder, rows: Rows) -> float:
    """Return the reconstruction loss of the rows left out; see mean_loss for its unit."""
    return mean_loss(
        network,
        rows,
        lambda inputs, targets: network.reconstruction_loss(
            network.decoder(network.vectors(inputs)), targets
        ),
    )


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Move the optimiser's weights one step down the loss."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _build(
    network_class: type[Autoencoder], stored: dict, generator: torch.Generator | None = None
) -> Autoencoder:
    return network_class(
        stored["input_dims"],
        stored["likelihood"],
        tuple(stored["hidden_dims"]),
        stored["latent_dims"],
        stored["dropout"],
        generator,
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


def _metrics(network: Autoencoder, rows: Rows, popularity: torch.Tensor) -> dict[str, float]:
    """Return how many latent dimensions are in use, and how well held-out items of unseen users rank.

    `popularity` (m,) is the ranking to beat.
    """
    vectors, gains, popular_gains, ranked_rows = [], 0.0, 0.0, 0
    with torch.inference_mode():
        for inputs, targets in zip(dense_blocks(rows.known), dense_blocks(rows.held_out), strict=True):
            vectors.append(network.vectors(inputs))
            if network.likelihood == "multinomial":
                decoded = network.decoder(vectors[-1])
                wanted = (targets > 0).any(dim=1)
                ranked_rows += int(wanted.sum())
                seen, targets = inputs[wanted] > 0, targets[wanted] > 0
                gains += _ndcg(decoded[wanted].masked_fill(seen, -math.inf), targets)
                popular_gains += _ndcg(popularity.expand(seen.shape).masked_fill(seen, -math.inf), targets)
    metrics = {"active_latent_dims": int((torch.cat(vectors).numpy().var(axis=0) > 0.01).sum())}
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
