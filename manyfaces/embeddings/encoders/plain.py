"""Autoencoder without a latent distribution: the vector is what the encoder gives, nothing is drawn to 0.

Source: Hinton & Salakhutdinov 2006 (Reducing the Dimensionality of Data with Neural Networks).
"""

from dataclasses import dataclass

import numpy as np

from manyfaces.embeddings import autoencoder
from manyfaces.embeddings.autoencoder import AutoencoderParameters
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.inputs import read_inputs, read_inputs_again
from manyfaces.embeddings.networks import Autoencoder
from manyfaces.embeddings.parameters import setting
from manyfaces.store import Artifact

version = "autoencoder-1"


@dataclass(frozen=True, kw_only=True)
class Parameters(AutoencoderParameters):
    """Parameters of `autoencoder`; see AutoencoderParameters for the others.

    Attributes:
        max_items: Items with the most users that are read, at most, if the likelihood is multinomial.
    """

    max_items: int = setting(4000, low=1)


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Train on the items (multinomial likelihood) or the features (the others); see Encoder.

    Raises:
        ValueError: If a value is not finite, or an affinity is negative.
    """
    matrix, arrays = read_inputs(history, parameters, parameters.max_items)
    artifact = autoencoder.fit_autoencoder(matrix, parameters)
    artifact.arrays |= arrays
    return artifact


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the latent vectors (n, latent_dims); zeros if the fit had nothing to learn from."""
    return autoencoder.encode(read_inputs_again(history, artifact), artifact, Autoencoder)
