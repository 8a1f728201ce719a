"""Predicted ratings: biases and factors, by regularised alternating least squares.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009:

    predicted rating = mean + b_u + b_i + w_u v_i

minimises the squared errors of the known ratings plus `regularisation` x (b_u^2 + |w_u|^2 + b_i^2 + |v_i|^2):
as if every user and item had so many more ratings that say nothing. Each half-step solves (w_u, b_u) of all
users, or (v_i, b_i) of all items, exactly.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from manyfaces.recommendations.alternating import row_blocks
from manyfaces.recommendations.top_items import DECIMALS, entry_rows

MODEL_VERSION = "rating_prediction-1"


@dataclass(frozen=True, kw_only=True)
class RatingParameters:
    """What decides the model besides the data.

    Attributes:
        dims: Length of the factors; 0 leaves the biases alone.
        iterations: Passes over users and items.
        regularisation: Weight of the penalty, in ratings; above 0.
        seed: Seed of the first item factors.
    """

    dims: int = 16
    iterations: int = 15
    regularisation: float = 4.0
    seed: int = 7


@dataclass(frozen=True)
class RatingModel:
    """A fitted model.

    Attributes:
        mean: Mean of the ratings.
        users: (users, dims + 1) float32, factors and, last, the bias.
        items: (items, dims + 1) likewise.
        scale: Lowest and highest rating.
    """

    mean: float
    users: np.ndarray
    items: np.ndarray
    scale: tuple[float, float]

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predict the ratings of pairs.

        Args:
            users: (pairs,) user index.
            items: (pairs,) item index.

        Returns:
            (pairs,) float64 within the scale, rounded to 6 digits. Who has no ratings is average.
        """
        products = np.einsum("pd,pd->p", self.users[users, :-1], self.items[items, :-1], dtype=np.float64)
        ratings = self.mean + self.users[users, -1] + self.items[items, -1] + products
        return np.clip(ratings, *self.scale).round(DECIMALS)


def fit(ratings: sparse.csr_array, parameters: RatingParameters, scale: tuple[float, float]) -> RatingModel:
    """Fit the model.

    Args:
        ratings: (users, items) CSR; every stored entry is a rating.
        parameters: See RatingParameters.
        scale: Lowest and highest rating.

    Returns:
        See RatingModel; without ratings it predicts the middle of the scale.

    Raises:
        ValueError: If a rating is outside the scale.
    """
    if ratings.nnz and not (ratings.data.min() >= scale[0] and ratings.data.max() <= scale[1]):
        raise ValueError(
            f"Ratings reach from {ratings.data.min():g} to {ratings.data.max():g}, outside rating_scale, "
            f"{scale[0]:g} to {scale[1]:g}: correct the ratings or the setting."
        )
    mean = float(ratings.data.mean(dtype=np.float64)) if ratings.nnz else sum(scale) / 2
    by_user = sparse.csr_array(
        (ratings.data.astype(np.float64) - mean, ratings.indices, ratings.indptr), shape=ratings.shape
    )
    by_item = by_user.T.tocsr()
    random = np.random.default_rng(parameters.seed)
    dims = parameters.dims
    users = np.zeros((ratings.shape[0], dims + 1))
    items = np.zeros((ratings.shape[1], dims + 1))
    items[:, :dims] = random.standard_normal((ratings.shape[1], dims)) / np.sqrt(max(dims, 1))
    for _ in range(parameters.iterations):
        users = solve_ratings(by_user, items, parameters.regularisation)
        items = solve_ratings(by_item, users, parameters.regularisation)
    return RatingModel(mean, users.astype(np.float32), items.astype(np.float32), scale)


def solve_ratings(deviations: sparse.csr_array, fixed: np.ndarray, regularisation: float) -> np.ndarray:
    """Solve factors and biases of all rows while those of the columns are fixed.

    Args:
        deviations: (rows, columns) CSR of ratings less their mean.
        fixed: (columns, dims + 1) factors and, last, biases of the columns.
        regularisation: Weight of the penalty.

    Returns:
        (rows, dims + 1) float64, likewise.
    """
    # What multiplies a row's own factors and bias; a column of zeros pads short rows.
    inputs = np.vstack([fixed, np.zeros(fixed.shape[1])])
    inputs[:-1, -1] = 1
    biases = np.append(fixed[:, -1], 0)
    found = np.zeros((deviations.shape[0], fixed.shape[1]))
    penalty = regularisation * np.eye(fixed.shape[1])
    # Blocks for the squares, which outweigh the vectors of short rows.
    for rows, places, values in row_blocks(deviations, fixed.shape[1] ** 2):
        vectors = inputs[places]
        system = vectors.transpose(0, 2, 1) @ vectors + penalty
        target = (values - biases[places])[:, None, :] @ vectors
        found[rows] = np.linalg.solve(system, target.transpose(0, 2, 1))[:, :, 0]
    return found


def held_out_errors(
    ratings: sparse.csr_array, held_out: np.ndarray, parameters: RatingParameters, scale: tuple[float, float]
) -> dict[str, float]:
    """Fit on some of the ratings and measure the errors on the others, beside a model of biases alone.

    Args:
        ratings: (users, items) CSR; every stored entry is a rating.
        held_out: (entries,) bool, ratings that are predicted, in stored order.
        parameters: See RatingParameters.
        scale: Lowest and highest rating.

    Returns:
        ratings (held out), mean_absolute_error, root_mean_squared_error, and both of the bias model with the
        prefix bias_; empty if nothing is held out, or everything.
    """
    if not held_out.any() or held_out.all():
        return {}
    users, items = entry_rows(ratings), ratings.indices
    known = sparse.csr_array(
        (ratings.data[~held_out], (users[~held_out], items[~held_out])), shape=ratings.shape
    )
    found: dict[str, float] = {"ratings": int(held_out.sum())}
    for prefix, settings in (("", parameters), ("bias_", replace(parameters, dims=0))):
        predicted = fit(known, settings, scale).predict(users[held_out], items[held_out])
        errors = predicted - ratings.data[held_out]
        found[f"{prefix}mean_absolute_error"] = round(float(np.abs(errors).mean()), 6)
        found[f"{prefix}root_mean_squared_error"] = round(float(np.sqrt(np.square(errors).mean())), 6)
    return found
