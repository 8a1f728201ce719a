"""The algorithms that segmentations are fitted with in Python."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manyfaces.segments import density, hdbscan, kmeans, knn, label_propagation, mixture, ward
from manyfaces.segments.inputs import Clustering, FitInputs


@dataclass(frozen=True)
class Algorithm:
    """How segmentations of one kind come about.

    Attributes:
        fit: Takes a checked declaration and the users.
        version: Part of the fingerprint of a fit: another version fits again.
        is_centroid: Whether a user's segment is the one with the nearest centre, so that the centres alone
            are enough to assign new users as the fit would.
        reads: Attributes of FitInputs that it reads besides the users and their vectors.
    """

    fit: Callable[[Mapping[str, Any], FitInputs], Clustering]
    version: str
    is_centroid: bool = False
    reads: tuple[str, ...] = ()


ALGORITHMS = {
    "kmeans": Algorithm(kmeans.fit_kmeans, kmeans.MODEL_VERSION, is_centroid=True, reads=("start",)),
    "ward": Algorithm(ward.fit_ward, ward.MODEL_VERSION, is_centroid=True),
    "gaussian_mixture": Algorithm(mixture.fit_gaussian_mixture, mixture.MODEL_VERSION),
    "dbscan": Algorithm(density.fit_dbscan, density.MODEL_VERSION),
    "hdbscan": Algorithm(hdbscan.fit_hdbscan, hdbscan.MODEL_VERSION),
    "knn": Algorithm(knn.fit_knn, knn.MODEL_VERSION, reads=("labels",)),
    "label_propagation": Algorithm(
        label_propagation.fit_label_propagation, label_propagation.MODEL_VERSION, reads=("relations",)
    ),
}
