"""Truncated SVD of the user-item matrix with fold-in: users of later builds land among the first ones.

Sources: Halko, Martinsson & Tropp 2011 (randomised SVD); Deerwester et al. 1990 (fold-in: x V S^-1 is where a
new row x would lie in U). See factors.py.
"""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.preprocessing import normalize

from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.factors import factorise
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.store import Artifact

version = "factors-1"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of `factors`.

    Attributes:
        dims: Number of factors; fewer if the matrix has a lower rank.
        unit_length: Whether only the direction of a vector counts. Its length is mostly how much a user does.
        seed: Seed of the random projection.
    """

    dims: int = setting(64, low=1)
    unit_length: bool = False
    seed: int = setting(7, low=0)


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Factorise the matrix; the artefact keeps the side of the items and nothing of a user.

    Raises:
        ValueError: If an affinity is not a finite number.
    """
    _check(history)
    artifact = factorise(history.matrix, parameters.dims, parameters.seed)
    del artifact.arrays["users"]
    artifact.arrays["item_ids"] = np.asarray(history.item_ids, dtype=np.str_)
    artifact.meta |= {"parameters": asdict(parameters), "log": []}
    return artifact


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the user factors (n, k): X V S^-1/2, for the users of the fit U sqrt(S); or their directions.

    Raises:
        ValueError: If an affinity is not a finite number.
    """
    _check(history)
    seen = history.aligned(artifact.arrays["item_ids"])
    singular_values = artifact.arrays["singular_values"].astype(np.float64)
    # The artefact holds V sqrt(S). A matrix of zeros has one factor of zeros.
    divisor = np.where(singular_values > 0, singular_values, np.inf)
    vectors = seen.matrix @ artifact.arrays["items"].astype(np.float64) / divisor
    if artifact.meta["parameters"]["unit_length"] and vectors.size:
        vectors = normalize(vectors)
    return round_vectors(vectors)


def _check(history: UserHistory) -> None:
    if not np.isfinite(history.matrix.data).all():
        raise ValueError("The affinities of users to items must be finite numbers.")
