"""The scan over numbers of segments that algorithms with a given number share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manyfaces.segments.candidates import candidate_row, elect
from manyfaces.segments.gap import gap_sample, gap_statistic, reference_sets
from manyfaces.segments.inputs import FitInputs, predictive_value
from manyfaces.segments.quality import measure_quality
from manyfaces.segments.settings import settings_of
from manyfaces.segments.stability import half_sample_stability
from manyfaces.segments.users import hash_sample

# Random starts of the fit that a candidate is judged by, and of the many refits of stability and gap.
FULL_STARTS = 10
REFIT_STARTS = 4


@dataclass(frozen=True)
class Fit:
    """A fitted model of some number of segments.

    Attributes:
        labels: (n,) segments of the points that it was fitted to.
        predict: Gives the segments of any (m, d) points.
        model: What the algorithm goes on with.
        parameters: What the row of the candidate states besides the number of segments.
    """

    labels: np.ndarray
    predict: Callable[[np.ndarray], np.ndarray]
    model: Any
    parameters: Mapping[str, Any]


# Fits points (n, d) with a number of segments, a number of random starts and a seed.
Fitter = Callable[[np.ndarray, int, int, int], Fit]


@dataclass(frozen=True)
class Sample:
    """Users on which candidates are tried.

    Attributes:
        inputs: All users.
        rows: (m,) rows of the sampled ones.
        points: (m, d) their vectors, float64.
        distinct: Number of different vectors among them.
        copy_of: (m,) which of the different vectors a user has.
        references: Sets without segments for the gap statistic.
        reference_rows: Rows of `points` that the references resemble.
    """

    inputs: FitInputs
    rows: np.ndarray
    points: np.ndarray
    distinct: int
    copy_of: np.ndarray
    references: list[np.ndarray]
    reference_rows: np.ndarray


def take_sample(inputs: FitInputs, limit: int) -> Sample:
    """Take at most `limit` users, the same ones whenever the same users are there."""
    rows = hash_sample(inputs.keys, limit)
    points = inputs.vectors[rows].astype(np.float64)
    distinct, copy_of = np.unique(points, axis=0, return_inverse=True)
    reference_rows = gap_sample(len(points), inputs.seed)
    has_room = len(distinct) > 2
    references = reference_sets(points[reference_rows], inputs.seed) if has_room else []
    return Sample(inputs, rows, points, len(distinct), copy_of.reshape(-1), references, reference_rows)


def scan_numbers(spec: Mapping[str, Any], sample: Sample, fitter: Fitter) -> tuple[list[dict], Fit | None]:
    """Try the numbers of segments that a declaration lists and vote for one.

    A candidate at the edge of the list is judged by what lies beyond it, too; one alone has no rival.

    Returns:
        The rows of all candidates, and the fit of the champion: None where all users are one segment.
    """
    distinct = sample.distinct
    possible, rejected = possible_numbers(spec["candidates"], distinct)
    if not possible:
        return one_segment(sample, rejected), None

    guards = set()
    if len(possible) > 1:
        guards = {max(possible[0] - 1, 2), min(_next_beyond(possible), distinct - 1)} - set(possible)
    fits, rows = {}, []
    for number in sorted(guards | set(possible)):
        fits[number] = fitter(sample.points, number, FULL_STARTS, sample.inputs.seed)
        rows.append(measured_row(sample, fits[number], number, fitter))
    share = spec.get("min_segment_share") or 0
    champion = elect(rows, possible, share, settings_of(spec)["vote"])
    return rows + rejected, fits[champion["clusters"]]


def possible_numbers(wanted: Sequence[int], distinct: int) -> tuple[list[int], list[dict]]:
    """Return the numbers of segments that so many different users can be divided into, ascending.

    The others become rows of the table of candidates. When all are too large, the largest possible number
    stands in for them; there is none for fewer than three different users.
    """
    wanted = sorted(set(wanted))
    rejected = [
        candidate_row(number, reason=f"Not tried: only {distinct} users differ.")
        for number in wanted
        if number >= distinct
    ]
    possible = [number for number in wanted if number < distinct]
    if not possible and distinct > 2:
        possible = [distinct - 1]
    return possible, rejected


def one_segment(sample: Sample, rejected: list[dict]) -> list[dict]:
    """Return the rows of candidates where all users are one segment; none where there are no users."""
    if not len(sample.points):
        return []
    quality = measure_quality(sample.points, np.zeros(len(sample.points), int))
    only = candidate_row(1, quality, reason=f"One segment: only {sample.distinct} users differ.")
    return [only | {"is_champion": True}, *rejected]


def measured_row(
    sample: Sample, fit: Fit, number: int, fitter: Fitter, name: str | None = None, reason: str = ""
) -> dict[str, Any]:
    """Measure every index of one fit to the sample and return its row of the table of candidates."""
    seed = sample.inputs.seed

    def refit(half: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
        if len(np.unique(sample.copy_of[half])) <= number:
            return None
        return fitter(sample.points[half], number, REFIT_STARTS, seed).predict

    return candidate_row(
        number,
        measure_quality(sample.points, fit.labels, seed),
        name=name,
        parameters={"k": number, **fit.parameters},
        stability=half_sample_stability(sample.points, fit.labels, refit, seed),
        gap=_gap(sample, number, fitter),
        predictive=predictive_value(sample.inputs, sample.rows, fit.labels),
        reason=reason,
    )


def _gap(sample: Sample, number: int, fitter: Fitter) -> tuple[float | None, float | None]:
    """Measure the gap statistic of a number of segments and its error; None for too few different users."""
    if len(np.unique(sample.copy_of[sample.reference_rows])) <= number:
        return None, None
    points, seed = sample.points[sample.reference_rows], sample.inputs.seed
    # One start may miss segments that are there, but all divisions of a reference are about equally good.
    labels = fitter(points, number, FULL_STARTS, seed).labels
    return gap_statistic(
        points, labels, sample.references, lambda reference: fitter(reference, number, 1, seed).labels
    )


def _next_beyond(numbers: Sequence[int]) -> int:
    """Continue an ascending list of at least two by one: the ratio of its last two, at least 1 more."""
    last = numbers[-1]
    return last + max(1, round(last * (last / numbers[-2] - 1)))
