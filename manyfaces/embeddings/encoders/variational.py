"""Variational autoencoders: `mult_vae` on the items of a user, `dense_vae` on the features.

Source: Liang, Krishnan, Hoffman & Jebara 2018 (Mult-VAE); Kingma & Welling 2014. See autoencoder.py.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from manyfaces.embeddings import autoencoder
from manyfaces.embeddings.autoencoder import VaeParameters
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.inputs import read_inputs, read_inputs_again
from manyfaces.embeddings.parameters import setting
from manyfaces.store import Artifact


@dataclass(frozen=True, kw_only=True)
class MultVaeParameters(VaeParameters):
    """Parameters of `mult_vae`; see VaeParameters for the others.

    Attributes:
        max_items: Items with the most users that are read, at most.
    """

    likelihood: Literal["multinomial"] = "multinomial"
    max_items: int = setting(4000, low=1)


@dataclass(frozen=True, kw_only=True)
class DenseVaeParameters(VaeParameters):
    """Parameters of `dense_vae`; see VaeParameters for the others.

    Features are standardised and cut at 5 deviations for the gaussian likelihood; for the bernoulli one their
    1st and 99th percentile become 0 and 1, and what lies beyond is cut.
    """

    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    hidden_dims: tuple[int, ...] = setting((64, 32), low=1)
    latent_dims: int = setting(16, low=1)
    dropout: float = setting(0.1, low=0, below=1)
    max_epochs: int = setting(100, low=1)


@dataclass(frozen=True)
class VariationalEncoder:
    """An encoder whose vectors are latent means.

    Attributes:
        version: See Encoder.
        Parameters: See Encoder.
    """

    version: str
    Parameters: type[VaeParameters]

    def fit(self, history: UserHistory, parameters: VaeParameters) -> Artifact:
        """Train on a history; see Encoder and autoencoder.fit_vae.

        Raises:
            ValueError: If a value is not finite, or an affinity is negative.
        """
        matrix, arrays = read_inputs(history, parameters, getattr(parameters, "max_items", 0))
        artifact = autoencoder.fit_vae(matrix, parameters)
        artifact.arrays |= arrays
        return artifact

    def encode(self, history: UserHistory, artifact: Artifact) -> np.ndarray:
        """Return the latent means (n, latent_dims); zeros if the fit had nothing to learn from."""
        return autoencoder.encode(read_inputs_again(history, artifact), artifact)


MULT_VAE = VariationalEncoder("mult_vae-1", MultVaeParameters)
DENSE_VAE = VariationalEncoder("dense_vae-1", DenseVaeParameters)
