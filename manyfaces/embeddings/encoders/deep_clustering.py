"""Deep embedded clustering: the encoder of a Mult-VAE is tuned until users lie close to centres.

After the pretraining, users are assigned softly to centres in the latent space (Student's t), and encoder and
centres move so that these assignments become the sharper ones of a target distribution. That draws clear
users to their centre and leaves doubtful ones between them.

Source: Xie, Girshick & Farhadi 2016 (Unsupervised Deep Embedding for Clustering Analysis); the pretraining is
a Mult-VAE (Liang et al. 2018) in place of their stacked autoencoder.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from manyfaces.embeddings import autoencoder
from manyfaces.embeddings.autoencoder import descend, split_rows, stored_network
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.inputs import read_inputs, read_inputs_again
from manyfaces.embeddings.encoders.variational import MultVaeParameters
from manyfaces.embeddings.networks import VariationalAutoencoder
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.training import dense_blocks, fixed_threads, weights_of
from manyfaces.progress import say
from manyfaces.store import Artifact

version = "deep_clustering-1"

# Starts of k-means, the best of which gives the first centres.
CENTRE_STARTS = 10


@dataclass(frozen=True, kw_only=True)
class Parameters(MultVaeParameters):
    """Parameters of `deep_clustering`; see MultVaeParameters for those of the pretraining.

    Attributes:
        clusters: Number of centres; fewer if fewer users differ.
        tolerance: Tuning stops when a smaller share of the training users than this changes the centre.
        tuning_epochs: Epochs of the tuning at most; 0 leaves the vectors of the pretraining.
        tuning_learning_rate: Step size of the tuning.
    """

    clusters: int = setting(8, low=2)
    tolerance: float = setting(0.001, low=0, below=1)
    tuning_epochs: int = setting(30, low=0)
    tuning_learning_rate: float = setting(0.001, above=0)


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Pretrain on the items, then tune; see Encoder.

    The log goes on over the tuning, where train_loss is KL(P || Q), the divergence of the soft assignments
    from their target in nats per user, and the other losses are absent. The artefact keeps the centres
    (k, latent_dims) as cluster_centres.

    Raises:
        ValueError: If an affinity is not finite, or negative.
    """
    matrix, arrays = read_inputs(history, parameters, parameters.max_items)
    artifact = autoencoder.fit_vae(matrix, parameters)
    artifact.meta["algorithm"] = "deep embedded clustering on a variational autoencoder, multinomial"
    network = stored_network(artifact, VariationalAutoencoder)
    centres = np.zeros((0, parameters.latent_dims), np.float32)
    if network is not None:
        rows = split_rows(sparse.csr_array(matrix, dtype=np.float32), parameters).training
        with fixed_threads():
            centres = _tune(network, rows, parameters, artifact.meta)
        artifact.arrays = {name: tensor.numpy() for name, tensor in weights_of(network).items()}
    artifact.arrays |= arrays | {"cluster_centres": centres}
    return artifact


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the tuned latent means (n, latent_dims); zeros if the fit had nothing to learn from."""
    return autoencoder.encode(read_inputs_again(history, artifact), artifact)


def soft_assignments(vectors: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return q (n, k): to what degree each vector (n, d) belongs to each centre (k, d), rows summing to 1.

    Student's t kernel with one degree of freedom, Xie et al. 2016, equation 1.
    """
    kernel = 1 / (1 + torch.cdist(vectors, centres, compute_mode="donot_use_mm_for_euclid_dist").square())
    return kernel / kernel.sum(dim=1, keepdim=True)


def target_distribution(assignments: torch.Tensor) -> torch.Tensor:
    """Return p (n, k): assignments squared, by the size of the cluster, rows summing to 1 (equation 3)."""
    weight = assignments.square() / assignments.sum(dim=0)
    return weight / weight.sum(dim=1, keepdim=True)


def _tune(
    network: VariationalAutoencoder, rows: sparse.csr_array, parameters: Parameters, meta: dict
) -> np.ndarray:
    """Tune the encoder in place, write log and metrics into `meta`, return the centres."""
    centres = torch.nn.Parameter(_first_centres(_vectors(network, rows).numpy(), parameters))
    optimiser = torch.optim.Adam([*network.encoder.parameters(), centres], parameters.tuning_learning_rate)
    generator = torch.Generator().manual_seed(parameters.seed)
    assignments = _assignments(network, rows, centres)
    changed, epoch = 0.0, 0
    for epoch in range(1, parameters.tuning_epochs + 1):
        loss = _tuning_epoch(
            network, rows, centres, target_distribution(assignments), optimiser, generator, parameters
        )
        before, assignments = assignments.argmax(dim=1), _assignments(network, rows, centres)
        changed = float((assignments.argmax(dim=1) != before).float().mean())
        meta["log"].append(
            {
                "epoch": meta["metrics"]["epochs"] + epoch,
                "train_loss": round(loss, 6),
                "learning_rate": parameters.tuning_learning_rate,
            }
        )
        say(
            f"deep clustering: epoch {epoch}/{parameters.tuning_epochs}, "
            f"KL(P || Q) {loss:.4f}, {changed:.1%} of the users changed"
        )
        if changed < parameters.tolerance:
            break
    meta["metrics"] |= {
        "tuning_epochs": epoch,
        "changed_share": round(changed, 6),
        "clusters": len(centres),
        "used_clusters": int(assignments.argmax(dim=1).unique().numel()),
    }
    return centres.detach().numpy()


def _tuning_epoch(
    network: VariationalAutoencoder,
    rows: sparse.csr_array,
    centres: torch.nn.Parameter,
    target: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    parameters: Parameters,
) -> float:
    """Go once through the rows, and return the mean KL(P || Q) per row."""
    order = torch.randperm(rows.shape[0], generator=generator)
    total = 0.0
    for chosen in order.split(parameters.batch_size):
        batch = torch.from_numpy(rows[chosen.numpy()].toarray())
        assignments = soft_assignments(network.vectors(batch), centres)
        wanted = target[chosen]
        loss = torch.xlogy(wanted, wanted / assignments).sum(dim=1).mean()
        descend(optimiser, loss)
        total += loss.item() * len(chosen)
    return total / rows.shape[0]


def _first_centres(vectors: np.ndarray, parameters: Parameters) -> torch.Tensor:
    count = min(parameters.clusters, len(np.unique(vectors.round(6), axis=0)))
    # On one thread: the order in which threads add up decides the last bit.
    with threadpool_limits(1):
        model = KMeans(count, n_init=CENTRE_STARTS, random_state=parameters.seed).fit(vectors.round(6))
    return torch.from_numpy(model.cluster_centers_.astype(np.float32).round(6))


def _vectors(network: VariationalAutoencoder, rows: sparse.csr_array) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([network.vectors(block) for block in dense_blocks(rows)])


def _assignments(
    network: VariationalAutoencoder, rows: sparse.csr_array, centres: torch.Tensor
) -> torch.Tensor:
    with torch.no_grad():
        return soft_assignments(_vectors(network, rows), centres)
