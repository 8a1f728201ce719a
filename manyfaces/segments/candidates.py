"""Candidates of a segmentation, and the rules by which one of them is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import rankdata

from manyfaces.segments.quality import Quality
from manyfaces.segments.settings import INDICES

# Agreement of refits above this earns a candidate nothing: it is reproducible enough.
STABLE = 0.9
# Refits that agree less make other segments each time: out, unless no candidate agrees as much.
REPRODUCIBLE = 0.7
# Groups that leave more users than this outside are no segmentation, unless nothing else finds two groups.
MAX_NOISE_SHARE = 0.5


def candidate_row(
    clusters: int | None,
    quality: Quality | None = None,
    *,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    stability: float | None = None,
    gap: tuple[float | None, float | None] = (None, None),
    predictive: float | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """Make one row of the table of candidates, not yet chosen.

    Args:
        clusters: Number of segments; None for a candidate that was not tried.
        quality: Its indices; None where nothing was measured.
        name: The candidate's name, k= and the number of segments if it has no other.
        parameters: What distinguishes it, the number of segments if nothing else does.
        stability: See `half_sample_stability`.
        gap: The gap statistic and its error, see `gap_statistic`.
        predictive: What the judge of the inputs said.
        reason: Why it was or was not chosen, where that is known before a vote.
    """
    quality = quality or Quality(0, None, None, None, None, None, None)
    return {
        "candidate": name or f"k={clusters}",
        "parameters": {"k": clusters} if parameters is None else dict(parameters),
        **asdict(quality),
        "clusters": clusters,
        "gap": gap[0],
        "gap_error": gap[1],
        "stability": stability,
        "predictive": predictive,
        "votes": None,
        "mean_rank": None,
        "is_champion": False,
        "reason": reason,
    }


def elect(
    rows: list[dict], candidates: Sequence[int], min_segment_share: float, weights: Mapping[str, float]
) -> dict:
    """Vote for one number of segments; writes votes, mean_rank, is_champion and reason into `rows`.

    Every index drifts with the number of segments k on any data, structured or not, so that its level alone
    elects one end of the list. Each is therefore judged by its height above its own trend, a straight line
    over ln k through all rows including the guards next to the list (Calinski-Harabasz as logarithm). Only
    stability counts as it is, up to STABLE. Candidates are ranked by each index, the lowest weighted mean
    rank wins, and of equals the one with fewer segments. A candidate whose smallest segment is below
    `min_segment_share` is out; when all are, the one with the largest smallest segment wins. Where stability
    votes and some candidates reach REPRODUCIBLE, the others are out, too.

    Args:
        rows: Candidates and guards, ascending by clusters, as `candidate_row` makes them.
        candidates: Numbers of segments that may win.
        min_segment_share: Smallest allowed share of a segment.
        weights: By index its weight; an index without one, or that no row has, does not vote.

    Returns:
        The row of the champion.
    """
    listed = [index for index, row in enumerate(rows) if row["clusters"] in candidates]
    allowed = [index for index in listed if rows[index]["smallest_share"] >= min_segment_share]
    for index, row in enumerate(rows):
        if index not in listed:
            row["reason"] = "Not in the list: shows the trend of the indices next to it."
        elif index not in allowed:
            row["reason"] = _too_small(row, min_segment_share)
    if not allowed:
        champion = max((rows[index] for index in listed), key=lambda row: row["smallest_share"])
        champion["is_champion"] = True
        champion["reason"] += " Chosen all the same: every other candidate has a smaller smallest segment."
        return champion
    return _vote(rows, allowed, weights, has_trend=True)


def elect_groups(rows: list[dict], min_segment_share: float, weights: Mapping[str, float]) -> dict:
    """Vote for one of several divisions into dense groups and noise; writes its verdict into `rows`.

    Candidates with fewer than two groups, more noise than MAX_NOISE_SHARE or a group below
    `min_segment_share` are out. The others are ranked as in `elect`, but without a trend: several of them
    may have the same number of groups. When all are out, one with two groups is taken before others, and of
    these the one with the least noise.

    Args:
        rows: At least one candidate as `candidate_row` makes them; of equals the first wins.
        min_segment_share: Smallest allowed share of a group.
        weights: By index its weight, see `elect`.

    Returns:
        The row of the champion.
    """
    allowed = []
    for index, row in enumerate(rows):
        if row["clusters"] < 2:
            row["reason"] = f"Out: it finds {'one group' if row['clusters'] else 'no group'}."
        elif row["noise_share"] > MAX_NOISE_SHARE:
            row["reason"] = f"Out: it leaves {row['noise_share']:.1%} of the users outside."
        elif row["smallest_share"] < min_segment_share:
            row["reason"] = _too_small(row, min_segment_share)
        else:
            allowed.append(index)
    if allowed:
        return _vote(rows, allowed, weights, has_trend=False)
    champion = min(rows, key=lambda row: (row["clusters"] < 2, row["noise_share"]))
    champion["is_champion"] = True
    champion["reason"] += (
        " Chosen all the same: every other candidate is out, too."
        if champion["clusters"] >= 2
        else " Chosen although it is no segmentation: no candidate finds two groups."
    )
    return champion


def _too_small(row: dict, min_segment_share: float) -> str:
    return (
        f"Out: its smallest segment holds {row['smallest_share']:.1%} of the users, less than "
        f"min_segment_share {min_segment_share:.1%}."
    )


def _vote(rows: list[dict], allowed: list[int], weights: Mapping[str, float], has_trend: bool) -> dict:
    """Rank the allowed rows by every index that has a weight and a value; return the champion."""
    if weights.get("stability"):
        allowed = _reproducible(rows, allowed)
    voting = {
        name: weight
        for name, weight in weights.items()
        if weight > 0 and any(row[name] is not None for row in rows)
    }
    heights = {name: _heights(rows, name, has_trend)[allowed] for name in voting}
    ranks = {name: rankdata(-height) for name, height in heights.items()}
    if voting:
        means = np.average(list(ranks.values()), axis=0, weights=list(voting.values())).round(6)
    else:
        means = np.ones(len(allowed))
    winner = int(means.argmin())
    for position, index in enumerate(allowed):
        row = rows[index]
        row["mean_rank"] = float(means[position])
        row["votes"] = int(sum(rank[position] == rank.min() for rank in ranks.values()))
        placed = ", ".join(
            f"{name.replace('_', '-')} {rank[position]:g}"
            + (f" (weight {voting[name]:g})" if voting[name] != 1 else "")
            for name, rank in ranks.items()
        )
        verdict = f"mean rank {means[position]:.1f} of {len(allowed)}" + (f": {placed}" if placed else "")
        row["is_champion"] = position == winner
        row["reason"] = (
            f"Chosen, {row['clusters']} segments, {verdict}."
            if position == winner
            else f"{verdict[0].upper()}{verdict[1:]}."
        )
    return rows[allowed[winner]]


def _reproducible(rows: list[dict], allowed: list[int]) -> list[int]:
    """Return the allowed rows that refits agree on; all where there is none."""
    kept = [index for index in allowed if (rows[index]["stability"] or 0) >= REPRODUCIBLE]
    if not kept:
        return allowed
    for index in set(allowed) - set(kept):
        rows[index]["reason"] = (
            f"Out: refits on half of the users agree only to {rows[index]['stability'] or 0:.2f}, and other "
            f"candidates reach {REPRODUCIBLE}."
        )
    return kept


def _heights(rows: list[dict], name: str, has_trend: bool) -> np.ndarray:
    """Return how good each row is by one index, so that higher is better and an undefined index is worst."""
    values = np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)
    if name == "stability":
        return np.nan_to_num(np.minimum(values, STABLE), nan=-1.0).round(6)
    values *= INDICES[name]
    if name == "calinski_harabasz":
        values = np.log(np.maximum(values, 1e-12))
    known = np.isfinite(values)
    # Three points leave a line no room to be wrong: then the plain values count.
    if has_trend and known.sum() > 3:
        sizes = np.log([row["clusters"] for row in rows])
        values = values - np.polyval(np.polyfit(sizes[known], values[known], 1), sizes)
    return np.where(known, values, -np.inf).round(6)


def elect_radius(rows: list[dict]) -> dict:
    """Choose a radius of DBSCAN; writes is_champion and reason into `rows`.

    The first row, the given radius or the knee, is taken if it finds two groups or is the only one. Data
    without gaps gives one group and some noise there; then, among the radii that leave at most
    MAX_NOISE_SHARE of the users outside, or else among all, the one is taken that puts most users into
    groups other than the largest, and of equals the one with less noise. If no radius finds two groups the
    first is kept and the reason says so.

    Args:
        rows: Candidates as `candidate_row` makes them, with apart_share: users in groups but the
            largest.

    Returns:
        The row of the champion.
    """
    several = [row for row in rows if row["clusters"] >= 2]
    calm = [row for row in several if row["noise_share"] <= MAX_NOISE_SHARE] or several
    first = rows[0]
    champion = (
        first
        if first in several or not calm
        else max(calm, key=lambda row: (row["apart_share"], -row["noise_share"]))
    )
    for row in rows:
        groups = "group" if row["clusters"] == 1 else "groups"
        row["reason"] = (
            f"{row['clusters']} {groups}, {row['noise_share']:.1%} noise, {row['apart_share']:.1%} of the "
            "users in groups but the largest."
        )
    champion["is_champion"] = True
    if not several:
        champion["reason"] += " Chosen although it is no segmentation: no radius finds two groups."
    elif champion is first:
        champion["reason"] = f"Chosen: {champion['reason']}"
    else:
        champion["reason"] = (
            f"Chosen: {champion['reason']} The knee finds fewer than two; this radius sets most users apart."
        )
    return champion
