"""Gaussian mixture: overlapping segments of different widths, with a probability for every user."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from manyfaces.segments.inputs import Clustering, FitInputs
from manyfaces.segments.scan import Fit, Fitter, scan_numbers, take_sample
from manyfaces.segments.settings import settings_of
from manyfaces.segments.users import ASSIGN_BLOCK

MODEL_VERSION = "gaussian_mixture-2"

# Starts are k-means solutions, which differ little: a few are enough.
STARTS = 2
# Added to every variance, in units of the mean variance, so that equal users make no infinitely thin segment.
LEAST_VARIANCE = 1e-4


def fit_gaussian_mixture(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Choose the number of Gaussians by vote and give every user the likeliest one (Fraley and Raftery 2002).

    Fitted on a sample above max_fit_users; see `validate_spec` for the settings. Each candidate states its
    Bayesian information criterion (Schwarz 1978), which does not vote: on data that is not Gaussian it falls
    with every further segment.
    """
    settings = settings_of(spec)
    points = inputs.vectors
    sample = take_sample(inputs, settings["max_fit_users"])
    scale = np.sqrt(sample.points.var(axis=0).mean()) if sample.points.size else 0.0
    rows, fit = scan_numbers(spec, sample, _fitter(settings["covariance"], scale or 1.0))
    if fit is None:
        probability = np.ones(len(points))
        return Clustering(np.zeros(len(points), int), points[:1], rows, probability=probability)
    _state_criteria(rows)
    blocks = [
        fit.model.predict_proba(points[start : start + ASSIGN_BLOCK].astype(np.float64) / scale).round(6)
        for start in range(0, len(points), ASSIGN_BLOCK)
    ]
    return Clustering(
        labels=np.concatenate([block.argmax(axis=1) for block in blocks]),
        centres=(fit.model.means_ * scale).astype(np.float32).round(6),
        candidates=rows,
        probability=np.concatenate([block.max(axis=1) for block in blocks]),
    )


def _fitter(covariance: str, scale: float) -> Fitter:
    """Return the fit of mixtures to points divided by `scale`."""

    def fit_number(points: np.ndarray, number: int, starts: int, seed: int) -> Fit:
        model = GaussianMixture(
            number,
            covariance_type=covariance,
            n_init=min(starts, STARTS),
            reg_covar=LEAST_VARIANCE,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # A fit that still moves a little after the last round divides the users well enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = model.fit_predict(points / scale)
        parameters = {"covariance": covariance, "bic": round(float(model.bic(points / scale)), 1)}
        return Fit(labels, lambda others: model.predict(others / scale), model, parameters)

    return fit_number


def _state_criteria(rows: list[dict]) -> None:
    """Add the information criterion to the reasons of all candidates that were fitted."""
    fitted = [row for row in rows if "bic" in row["parameters"]]
    lowest = min(row["parameters"]["bic"] for row in fitted)
    for row in fitted:
        criterion = row["parameters"]["bic"]
        row["reason"] += f" BIC {criterion:,.0f}{', the lowest' if criterion == lowest else ''}."
