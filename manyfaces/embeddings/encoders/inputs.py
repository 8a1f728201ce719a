"""What the autoencoders read of a history: affinities by item, or standardised features."""

import numpy as np
from scipy import sparse

from manyfaces.embeddings.autoencoder import AutoencoderParameters
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.store import Artifact

# A standardised feature is cut here: one user far out shall not outweigh all others in a squared error.
MAX_DEVIATIONS = 5.0
# Share of the users that lie beyond 0, and beyond 1, when a feature is scaled to [0, 1].
EXTREME_SHARE = 0.01

Matrix = sparse.csr_array | np.ndarray


def read_inputs(
    history: UserHistory, parameters: AutoencoderParameters, max_items: int
) -> tuple[Matrix, dict[str, np.ndarray]]:
    """Return what an autoencoder is fitted on, and the arrays that let it read later histories alike.

    Args:
        history: What the users did.
        parameters: Their likelihood says what is read: items (multinomial) or features.
        max_items: Items with the most users that are read, at most.

    Returns:
        Rows (n, m), and item_ids, or feature_names with their shift and scale.

    Raises:
        ValueError: If a value is not a finite number.
    """
    if parameters.likelihood == "multinomial":
        item_ids = most_used_items(history, max_items)
        return history.aligned(item_ids).matrix, {"item_ids": item_ids}
    names = np.asarray(history.feature_names, dtype=np.str_)
    features = _features(history, names)
    shift, scale = _standards(features, parameters.likelihood)
    return _scaled(features, shift, scale, parameters.likelihood), {
        "feature_names": names,
        "feature_shift": shift,
        "feature_scale": scale,
    }


def read_inputs_again(history: UserHistory, artifact: Artifact) -> Matrix:
    """Return the same columns of another history, scaled as in the fit.

    Items that the fit did not see are passed over, those that the history lacks are empty.

    Raises:
        ValueError: If the history lacks a feature of the fit, or a value is not a finite number.
    """
    if "item_ids" in artifact.arrays:
        matrix = history.aligned(artifact.arrays["item_ids"]).matrix
        if matrix.nnz and not (np.isfinite(matrix.data).all() and matrix.data.min() >= 0):
            raise ValueError("The affinities of users to items must be finite and at least 0.")
        return matrix
    arrays = artifact.arrays
    features = _features(history, arrays["feature_names"])
    return _scaled(
        features,
        arrays["feature_shift"],
        arrays["feature_scale"],
        artifact.meta["parameters"]["likelihood"],
    )


def most_used_items(history: UserHistory, max_items: int) -> np.ndarray:
    """Return the ids (k,) of the items with the most users, in the order of the history's columns."""
    item_ids = np.asarray(history.item_ids, dtype=np.str_)
    if len(item_ids) <= max_items:
        return item_ids
    users = np.bincount(history.matrix.indices[history.matrix.data > 0], minlength=len(item_ids))
    return item_ids[np.sort(np.lexsort((item_ids, -users))[:max_items])]


def _features(history: UserHistory, names: np.ndarray) -> np.ndarray:
    """Return the named features (n, f) as float64."""
    position_of = {name: position for position, name in enumerate(history.feature_names.tolist())}
    missing = [name for name in names.tolist() if name not in position_of]
    if missing:
        raise ValueError(f"The encoder was fitted on the feature {missing[0]}, which is gone: fit it again.")
    features = history.features[:, [position_of[name] for name in names.tolist()]].astype(np.float64)
    broken = ~np.isfinite(features)
    if broken.any():
        name = names[int(broken.any(axis=0).argmax())]
        users = int(broken.any(axis=1).sum())
        raise ValueError(f"Features of {users} users are not finite numbers, first of all {name}: fill them.")
    return features


def _standards(features: np.ndarray, likelihood: str) -> tuple[np.ndarray, np.ndarray]:
    """Return shift and scale (f,): mean and deviation; under the Bernoulli, quantiles that become 0 and 1.

    With the extremes in the place of quantiles one user far out would press all others together.
    """
    if not len(features):
        return np.zeros(features.shape[1]), np.ones(features.shape[1])
    if likelihood == "bernoulli":
        shift, high = np.quantile(features, (EXTREME_SHARE, 1 - EXTREME_SHARE), axis=0)
        scale = high - shift
    else:
        shift, scale = features.mean(axis=0), features.std(axis=0)
    # Nothing can be learned about a constant, so it is always 0, whatever it is in a later history.
    return shift, np.where(scale > 1e-9, scale, np.inf)


def _scaled(features: np.ndarray, shift: np.ndarray, scale: np.ndarray, likelihood: str) -> np.ndarray:
    lowest, highest = (0.0, 1.0) if likelihood == "bernoulli" else (-MAX_DEVIATIONS, MAX_DEVIATIONS)
    return np.clip((features - shift) / scale, lowest, highest).astype(np.float32)
