"""Segmentations that last: last time's segments are kept, refitted from where they were, or made anew.

What happens to a segmentation at a wall is decided by a stated rule and kept with its reason:

* `first`: no earlier build knows it.
* `train`: declared differently, or its vectors lie in another space than those of the last fit; everything is
  chosen anew, the number of segments too.
* `refit`: the same segments, fitted again from the last centres.
* `assign`: nothing is fitted; everybody joins the nearest of the kept centres.

Whatever happens, segments get the number of the one they continue (see `identity`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from manyfaces.segments.algorithms import ALGORITHMS
from manyfaces.segments.clustering import (
    coarser_levels,
    fit_segmentation,
    level_centres,
    level_name,
    measure_distances,
)
from manyfaces.segments.identity import number_segments
from manyfaces.segments.inputs import FitInputs
from manyfaces.segments.users import nearest_centre
from manyfaces.store import Artifact, ArtifactStore, fingerprint

DATED_SCHEMA = {
    "as_of": pl.Datetime("us"),
    "segmentation": pl.String,
    "user_key": pl.String,
    "cluster": pl.Int32,
    "segment_number": pl.Int32,
    "second_segment_number": pl.Int32,
    "distance": pl.Float64,
    "second_distance": pl.Float64,
    "margin": pl.Float64,
    "probability": pl.Float64,
    "decision": pl.String,
    "decision_reason": pl.String,
    "fitted_as_of": pl.Datetime("us"),
    "issued_numbers": pl.Int32,
    "space": pl.String,
    "run_id": pl.String,
    "model_version": pl.String,
}
NO_ROWS = pl.DataFrame(schema=DATED_SCHEMA)


@dataclass(frozen=True)
class Policy:
    """When the segments of a centroid algorithm are fitted again.

    Attributes:
        min_overlap: Agreement from which a segment continues an old one; see identity.number_segments.
        age_days: After so many days without a fit. None here and below: never by that.
        outside_share: When so large a share of the users lies outside the radius of their segment.
        psi: When the sizes of the segments have moved by so much (population stability index).
    """

    min_overlap: float
    age_days: float | None = None
    outside_share: float | None = None
    psi: float | None = None


@dataclass(frozen=True)
class Profile:
    """Numbers about users whose meaning does not change between builds, such as shares of categories.

    Attributes:
        names: (f,) text.
        values: (n, f) sparse, a row per user.
    """

    names: np.ndarray
    values: sparse.csr_array


def population_stability(before: np.ndarray, after: np.ndarray) -> float:
    """Return the population stability index of two distributions over the same cells.

    Sum of (a - b) ln(a / b) over the cells; a share below 0.0001 counts as that much. Below 0.1 is usually
    called stable, above 0.25 a major shift (Siddiqi 2006, Credit Risk Scorecards).

    Args:
        before: (k,) counts or shares.
        after: (k,) counts or shares.
    """
    first, second = (np.maximum(side / max(side.sum(), 1e-12), 1e-4) for side in (before, after))
    return round(float(((second - first) * np.log(second / first)).sum()), 6)


def divide_again(
    spec: Mapping[str, Any],
    inputs: FitInputs,
    space: str,
    as_of: datetime,
    previous: pl.DataFrame,
    profile: Profile,
    policy: Policy,
    store: ArtifactStore,
) -> pl.DataFrame:
    """Divide the users of one wall into segments, going on from the last wall.

    Args:
        spec: The declaration, checked.
        inputs: Users of this wall.
        space: What tells the axes of the vectors from those of another space.
        as_of: The wall.
        previous: Rows with the columns of DATED_SCHEMA at the last wall before this one, of this segmentation
            and of the coarser levels of its hierarchy; or none.
        profile: For matching where the walls share few users.
        policy: When to fit again.
        store: Where models lie.

    Returns:
        A row per user with the columns of DATED_SCHEMA, and as many for each coarser level of a hierarchy,
        which is a segmentation of its own (see `level_name`).
    """
    own = previous.filter(segmentation=spec["name"])
    last = _last_fit(own, store)
    decision, reason = decide(spec, inputs, space, as_of, own, last, policy)
    if decision == "assign":
        artifact, fitted_as_of = last, own["fitted_as_of"][0]
        labels = nearest_centre(inputs.vectors, last.arrays["centroids"]).astype(np.int32)
        arrays = measure_distances(inputs.vectors, labels, last.arrays["centroids"])
    else:
        start = last.arrays["centroids"] if decision == "refit" else None
        artifact, fitted_as_of = fit_segmentation(spec, replace(inputs, start=start), store), as_of
        arrays, labels = artifact.arrays, artifact.arrays["labels"]
    levels = [(spec["name"], labels, arrays, len(artifact.arrays["centroids"]))]
    for segments, ancestors in coarser_levels(artifact).items():
        above = np.append(ancestors, -1)[labels]
        centres = level_centres(artifact, ancestors)
        levels.append(
            (
                level_name(spec["name"], segments),
                above,
                measure_distances(inputs.vectors, above, centres),
                len(centres),
            )
        )
    frames = [NO_ROWS]
    for name, level_labels, level_arrays, segments in levels:
        before = previous.filter(segmentation=name)
        profiles = _profiles(name, artifact.run_id, segments, level_labels, profile, store)
        numbers, issued = _numbers(
            name, inputs.keys, level_labels, segments, artifact.run_id, before, profiles, policy, store
        )
        frames.append(
            pl.DataFrame(
                {
                    "user_key": inputs.keys,
                    "cluster": level_labels,
                    "segment_number": np.append(numbers, 0)[level_labels],
                    "second_segment_number": np.append(numbers, 0)[level_arrays["second_cluster"]],
                    **{column: level_arrays[column] for column in ("distance", "second_distance", "margin")},
                    "probability": level_arrays.get("probability", np.full(len(labels), np.nan)),
                }
            )
            .with_columns(
                pl.col("distance", "second_distance", "margin", "probability").fill_nan(None),
                segment_number=pl.when(pl.col("cluster") >= 0).then("segment_number"),
                second_segment_number=pl.when(pl.col("second_segment_number") > 0).then(
                    "second_segment_number"
                ),
                as_of=pl.lit(as_of),
                segmentation=pl.lit(name),
                decision=pl.lit(decision),
                decision_reason=pl.lit(reason),
                fitted_as_of=pl.lit(fitted_as_of),
                issued_numbers=pl.lit(issued),
                space=pl.lit(space),
                run_id=pl.lit(artifact.run_id),
                model_version=pl.lit(artifact.meta["model_version"]),
            )
            .select(pl.col(column).cast(kind) for column, kind in DATED_SCHEMA.items())
        )
    return pl.concat(frames)


def decide(
    spec: Mapping[str, Any],
    inputs: FitInputs,
    space: str,
    as_of: datetime,
    previous: pl.DataFrame,
    last: Artifact | None,
    policy: Policy,
) -> tuple[str, str]:
    """Return what to do at this wall, `first`, `train`, `refit` or `assign`, and why. See `divide_again`."""
    if previous.is_empty():
        return "first", "No earlier wall knows this segmentation."
    wall = previous["as_of"][0]
    if last is None:
        return "train", f"The store has lost the model of {wall:%Y-%m-%d}."
    if last.meta["parameters"] != spec | {"seed": inputs.seed}:
        return "train", f"It is declared differently than at {wall:%Y-%m-%d}."
    if last.meta["model_version"] != ALGORITHMS[spec["algorithm"]].version:
        return "train", f"The algorithm has changed since {wall:%Y-%m-%d}."
    if previous["space"][0] != space:
        return "train", f"Its vectors lie in another space than at {wall:%Y-%m-%d}: an encoder was trained."
    if not ALGORITHMS[spec["algorithm"]].is_centroid:
        return "train", f"{spec['algorithm']} is fitted at every wall; it has no centres to join."
    centroids, radius = last.arrays["centroids"], last.arrays["radius"]
    if not len(centroids):
        return "train", f"It had no segments at {wall:%Y-%m-%d}."
    labels = nearest_centre(inputs.vectors, centroids)
    distance = measure_distances(inputs.vectors, labels, centroids)["distance"]
    outside = float((distance > radius[labels]).mean()) if len(labels) else 0.0
    psi = population_stability(last.arrays["users"], np.bincount(labels, minlength=len(centroids)))
    age = (as_of - previous["fitted_as_of"][0]).total_seconds() / 86_400
    measured = (
        f"fitted {age:.0f} days ago, {outside:.1%} of the users outside their segment's radius, PSI {psi:.3f}"
    )
    for name, value, bound in (
        ("age_days", age, policy.age_days),
        ("outside_share", outside, policy.outside_share),
        ("psi", psi, policy.psi),
    ):
        # A wall a few hours short of the bound would make a nightly build jump from day to day.
        if bound is not None and round(value, 3) >= bound:
            return "refit", f"From the last centres, because {name} has reached {bound:g}: {measured}."
    return "assign", f"Nothing calls for a fit: {measured}."


def _last_fit(previous: pl.DataFrame, store: ArtifactStore) -> Artifact | None:
    if previous.is_empty():
        return None
    try:
        return store.load(previous["run_id"][0])
    except KeyError:
        return None


def _numbers(
    name: str,
    keys: pl.Series,
    labels: np.ndarray,
    segments: int,
    run_id: str,
    previous: pl.DataFrame,
    profiles: Mapping[str, np.ndarray],
    policy: Policy,
    store: ArtifactStore,
) -> tuple[np.ndarray, int]:
    """Return the number of each segment, and the highest that was ever given."""
    issued = int(previous["issued_numbers"].max() or 0)
    named = previous.filter(pl.col("cluster") >= 0).select("cluster", "segment_number").unique()
    number_of = dict(named.iter_rows())
    if not previous.is_empty() and previous["run_id"][0] == run_id:
        numbers = np.array([number_of.get(cluster, 0) for cluster in range(segments)], dtype=np.int64)
        unnamed = numbers == 0  # nobody was in it at the last wall
        numbers[unnamed] = issued + 1 + np.arange(unnamed.sum())
        return numbers, max(issued, int(numbers.max(initial=0)))
    users = (
        previous.select("user_key", before=pl.col("segment_number").fill_null(0))
        .join(pl.DataFrame({"user_key": keys, "after": labels}), "user_key", how="full", coalesce=True)
        .with_columns(pl.col("before").fill_null(-1), pl.col("after").fill_null(-2))
    )
    profiles_before = None
    if not previous.is_empty():
        try:
            stored = store.load(_profile_run(name, previous["run_id"][0])).arrays
        except KeyError:
            stored = {"names": profiles["names"][:0], "values": np.zeros((0, 0))}
        aligned = _align(stored["values"], stored["names"], profiles["names"])
        profiles_before = {
            number: aligned[cluster] for cluster, number in number_of.items() if cluster < len(aligned)
        }
    found = number_segments(
        users["before"].to_numpy(),
        users["after"].to_numpy(),
        segments,
        issued,
        policy.min_overlap,
        profiles_before=profiles_before,
        profiles_after=profiles["values"],
    )
    return found.numbers, found.issued


def _profiles(
    name: str, run_id: str, segments: int, labels: np.ndarray, profile: Profile, store: ArtifactStore
) -> dict[str, np.ndarray]:
    """Return the names and the (segments, f) means of the profiles, as they were at the fit."""

    def compute() -> Artifact:
        inside = np.flatnonzero(labels >= 0)
        members = sparse.csr_array(
            (np.ones(len(inside)), (labels[inside], inside)), shape=(segments, len(labels))
        )
        sizes = np.maximum(members.sum(axis=1), 1)[:, None]
        values = ((members @ profile.values).toarray() / sizes).round(6).astype(np.float32)
        return Artifact({"names": profile.names, "values": values}, {"segmentation": name})

    kind, key = _profile_run(name, run_id).rsplit("-", 1)
    return store.fit(kind, key, compute).arrays


def _profile_run(name: str, run_id: str) -> str:
    return f"profiles_{name}-{fingerprint(run_id)}"


def _align(values: np.ndarray, names: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the columns of `values` in the order of `wanted`; zeros for names that it does not have."""
    place = {name: column for column, name in enumerate(names.tolist())}
    aligned = np.zeros((len(values), len(wanted)), np.float32)
    for column, name in enumerate(wanted.tolist()):
        if name in place:
            aligned[:, column] = values[:, place[name]]
    return aligned
