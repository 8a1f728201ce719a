"""k-nearest-neighbour classification: users without a label get that of the labelled users most like them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from manyfaces.segments.candidates import candidate_row
from manyfaces.segments.inputs import (
    NOISE,
    Clustering,
    FitInputs,
    group_clustering,
    label_series,
    predictive_value,
    unassigned,
)
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.settings import settings_of
from manyfaces.segments.users import hash_sample

MODEL_VERSION = "knn-1"

# Labelled users that numbers of neighbours are compared on, and the parts they are divided into.
CHOICE_USERS = 5_000
FOLDS = 5
# Users classified at once: their distances to all labelled users are in memory.
CLASSIFY_BLOCK = 2_000


def fit_knn(spec: Mapping[str, Any], inputs: FitInputs) -> Clustering:
    """Give users without a label that of their nearest labelled neighbours (Cover and Hart 1967).

    Neighbours vote with the inverse of their distance. Their number is chosen by accuracy in a
    cross-validation on the labelled users, of equals the smallest. Given labels are kept; whoever gets no
    label with at least min_probability is in no segment. See `validate_spec` for the settings.

    Raises:
        ValueError: If there are labels, but not one entry for each user.
    """
    settings = settings_of(spec)
    names, codes = _label_codes(inputs)
    if len(names) < 2:
        found = f"all labels are {names[0]}" if names else "no user has a label"
        quality = measure_quality(inputs.vectors, np.full(len(codes), NOISE))
        reason = f"Nobody assigned: {found}, so there is nothing to tell apart."
        return unassigned(inputs, candidate_row(0, quality, name="none", parameters={}, reason=reason))

    labelled = np.flatnonzero(codes >= 0)
    labelled = labelled[hash_sample(inputs.keys.gather(labelled), settings["max_fit_users"])]
    # Vectors without dimensions are all equal, like zeros.
    vectors = inputs.vectors if inputs.vectors.shape[1] else np.zeros((len(codes), 1), np.float32)
    known, known_codes = vectors[labelled], codes[labelled]
    # Numbers are compared on few users; as hashes decide, those of the comparison are among the known.
    compared = hash_sample(inputs.keys.gather(labelled), CHOICE_USERS)
    rows = hash_sample(inputs.keys, CHOICE_USERS)
    models, candidates = {}, []
    for number in _possible_numbers(settings["neighbours"], len(compared)):
        model = KNeighborsClassifier(number, weights="distance")
        accuracy = _accuracy(model, known[compared], known_codes[compared], inputs.seed)
        models[number] = model.fit(known, known_codes)
        labels, _ = _classify(model, vectors[rows], codes[rows], settings["min_probability"])
        quality = measure_quality(vectors[rows], labels, inputs.seed)
        candidates.append(
            candidate_row(
                quality.clusters,
                quality,
                name=f"neighbours={number}",
                parameters={"neighbours": number, "accuracy": accuracy},
                predictive=predictive_value(inputs, rows, labels),
            )
        )
    champion = _elect_accuracy(candidates, known_codes)
    model = models[champion["parameters"]["neighbours"]]
    labels, probability = _classify(model, vectors, codes, settings["min_probability"])
    used = [names[code] for code in np.unique(labels[labels >= 0])]
    return group_clustering(inputs.vectors, labels, candidates, names=used, probability=probability)


def _label_codes(inputs: FitInputs) -> tuple[list[str], np.ndarray]:
    """Return the labels in alphabetical order, and for each user the number of the own one or NOISE."""
    if inputs.labels is None:
        return [], np.full(len(inputs.vectors), NOISE)
    if len(inputs.labels) != len(inputs.vectors):
        raise ValueError(
            f"There are {len(inputs.labels)} labels for {len(inputs.vectors)} users: "
            "give one for each, None where it is unknown."
        )
    labels = label_series(inputs.labels)
    names = labels.drop_nulls().unique().sort()
    codes = labels.replace_strict(names, np.arange(len(names)), default=NOISE, return_dtype=pl.Int64)
    return names.to_list(), codes.fill_null(NOISE).to_numpy()


def _possible_numbers(wanted: Sequence[int], compared: int) -> list[int]:
    """Return the numbers of neighbours to try: no more than there are users to learn from in every fold."""
    most = compared - int(np.ceil(compared / min(FOLDS, compared)))
    return sorted({min(number, most) for number in wanted})


def _accuracy(model: KNeighborsClassifier, vectors: np.ndarray, codes: np.ndarray, seed: int) -> float:
    """Return the share of users whose label the others foretell, in a cross-validation."""
    folds = KFold(min(FOLDS, len(codes)), shuffle=True, random_state=seed)
    order = np.concatenate([test for _, test in folds.split(codes)])
    scores = cross_val_score(model, vectors, codes, cv=folds, scoring=_count_right)
    return round(float(scores.sum() / len(order)), 6)


def _count_right(model: KNeighborsClassifier, vectors: np.ndarray, codes: np.ndarray) -> float:
    return float((model.predict(vectors) == codes).sum())


def _classify(
    model: KNeighborsClassifier, vectors: np.ndarray, codes: np.ndarray, min_probability: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, the given ones where there are any, and the probability of the likeliest label."""
    labels, probability = codes.copy(), np.ones(len(codes))
    unknown = np.flatnonzero(codes < 0)
    for start in range(0, len(unknown), CLASSIFY_BLOCK):
        block = unknown[start : start + CLASSIFY_BLOCK]
        chances = model.predict_proba(vectors[block]).round(6)
        probability[block] = chances.max(axis=1)
        labels[block] = np.where(
            probability[block] >= min_probability, model.classes_[chances.argmax(axis=1)], NOISE
        )
    return labels, probability


def _elect_accuracy(rows: list[dict], codes: np.ndarray) -> dict:
    """Choose the most accurate number of neighbours, of equals the smallest; write why into the rows."""
    champion = max(rows, key=lambda row: row["parameters"]["accuracy"])
    most_frequent = np.bincount(codes).max() / len(codes)
    for row in rows:
        row["is_champion"] = row is champion
        row["reason"] = (
            f"{'Chosen: f' if row is champion else 'F'}oretells {row['parameters']['accuracy']:.1%} of the "
            f"known labels from the other ones; always the most frequent label gives {most_frequent:.1%}."
        )
    return champion
