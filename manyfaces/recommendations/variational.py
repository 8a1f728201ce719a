"""Item scores of a variational autoencoder: what its decoder makes of a user's own items.

Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018. The
autoencoder is the one whose latent means are the users' vectors (embeddings/encoders/variational.py).
"""

import numpy as np
import torch
from scipy import sparse

from manyfaces.embeddings.autoencoder import stored_network
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.networks import VariationalAutoencoder
from manyfaces.embeddings.training import fixed_threads
from manyfaces.recommendations.top_items import ScoreBlocks
from manyfaces.store import Artifact

MODEL_VERSION = "variational-2"
BLOCK_USERS = 512


def score_blocks(
    matrix: sparse.csr_array, item_ids: np.ndarray, artifact: Artifact, block_users: int = BLOCK_USERS
) -> ScoreBlocks:
    """Score all items for all users under a fitted `mult_vae`; nothing is trained.

    Args:
        matrix: (users, items) affinities, none negative.
        item_ids: (items,) text, the columns of `matrix`.
        artifact: What MULT_VAE.fit returned, perhaps for other users and items.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores: how many times as likely
        as by chance the item is the next one; 0 for items that the fit did not know, and for users without
        an item that it knew.
    """
    users, items = matrix.shape
    network = stored_network(artifact, VariationalAutoencoder)
    fitted = artifact.arrays["item_ids"]
    position_of = {item: position for position, item in enumerate(item_ids.tolist())}
    positions = np.array([position_of.get(item, -1) for item in fitted.tolist()], dtype=np.int64)
    known = positions >= 0
    history = UserHistory(
        item_ids=item_ids,
        matrix=matrix,
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((users, 0), np.float32),
        sequence_items=np.zeros(0, np.int64),
        sequence_offsets=np.zeros(users + 1, np.int64),
    ).aligned(fitted)
    for start in range(0, users, block_users):
        rows = history.matrix[start : start + block_users].toarray()
        scores = np.zeros((len(rows), items), np.float32)
        if network is not None:
            with fixed_threads(), torch.inference_mode():
                decoded = network.decoder(network.vectors(torch.from_numpy(rows)))
                shares = torch.softmax(decoded, dim=1).numpy() * len(fitted)
            # From nothing the decoder makes what is usual, which is no reason to recommend it.
            shares *= rows.any(axis=1, keepdims=True)
            scores[:, positions[known]] = shares[:, known]
        yield start, scores
