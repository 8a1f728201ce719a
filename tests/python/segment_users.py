"""Users for the tests of clusterers."""

import numpy as np
import polars as pl
from sklearn.datasets import make_blobs

from manyfaces.segments.inputs import FitInputs


def keys(count):
    return [f"user{number:06d}" for number in range(count)]


def planted(users, dims=16, segments=6, outliers=0.05, seed=0):
    """Blobs of unequal size and, behind them in random order, outliers with the label -1."""
    random = np.random.default_rng(seed)
    parts = np.linspace(1, 3, segments)
    sizes = (users * (1 - outliers) * parts / parts.sum()).astype(int)
    centres = random.uniform(-6, 6, (segments, dims))
    vectors, truth = make_blobs(sizes, dims, centers=centres, random_state=seed)
    outside = random.uniform(-14, 14, (users - len(vectors), dims))
    order = random.permutation(users)
    truth = np.append(truth, np.full(len(outside), -1))
    return np.vstack([vectors, outside])[order].astype(np.float32), truth[order]


def inputs_of(vectors, **more):
    """Users with the given vectors and with keys in their order."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return FitInputs(vectors, pl.Series(keys(len(vectors)), dtype=pl.String), **({"seed": 7} | more))


def spec_of(algorithm):
    """The shortest declaration of an algorithm."""
    required = {"kmeans": {"candidates": [3, 4]}, "ward": {"levels": [3, 6]}}
    required["gaussian_mixture"] = required["kmeans"]
    return {"name": "any", "encoder": "vae", "algorithm": algorithm, **required.get(algorithm, {})}


def champion_of(clustering):
    return next(row for row in clustering.candidates if row["is_champion"])
