"""Candidates of a segmentation, and the rules by which one of them is chosen."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import rankdata

from manyfaces.segments.quality import Quality

# Agreement of refits above this earns a candidate nothing: it is reproducible enough.
STABLE = 0.9
# A radius that leaves more users than this outside is no segmentation, unless nothing else finds two groups.
MAX_NOISE_SHARE = 0.5

# The indices that vote, and whether high (1) or low (-1) is good.
INDICES = {
    "silhouette": 1,
    "calinski_harabasz": 1,
    "davies_bouldin": -1,
    "dunn": 1,
    "stability": 1,
}


def candidate_row(
    number: int | None, quality: Quality | None, stability: float | None, reason: str, name: str | None = None
) -> dict[str, Any]:
    """Make one row of the table of candidates, not yet chosen."""
    quality = quality or Quality(0, None, None, None, None, None, None)
    return {
        "candidate": name or f"k={number}",
        "parameters": {"k": number},
        **asdict(quality),
        "clusters": number,
        "stability": stability,
        "votes": None,
        "mean_rank": None,
        "is_champion": False,
        "reason": reason,
    }


def elect(rows: list[dict], candidates: Sequence[int], min_segment_share: float) -> dict:
    """Vote for one candidate; writes votes, mean_rank, is_champion and reason into `rows`.

    Silhouette, Davies-Bouldin, Dunn, Calinski-Harabasz and stability drift with the number of segments k on
    any data, structured or not, so that their level alone elects one end of the list. Each of the
    four geometric indices is therefore judged by its height above its own trend, a straight line over ln k
    through all rows including the guards next to the list (Calinski-Harabasz as logarithm). Stability counts
    as it is, up to STABLE. Candidates are ranked by each of the five, the lowest mean rank wins, and of
    equals the one with fewer segments. A candidate whose smallest segment is below `min_segment_share` is
    out; when all are, the one with the largest smallest segment wins.

    Args:
        rows: Candidates and guards, ascending by clusters, as `candidate_row` makes them.
        candidates: Numbers of segments that may win.
        min_segment_share: Smallest allowed share of a segment.

    Returns:
        The row of the champion.
    """
    heights = {name: _heights(rows, name) for name in INDICES}
    listed = [index for index, row in enumerate(rows) if row["clusters"] in candidates]
    allowed = [index for index in listed if rows[index]["smallest_share"] >= min_segment_share]
    for index, row in enumerate(rows):
        if index not in listed:
            row["reason"] = "Not in the list: shows the trend of the indices next to it."
        elif index not in allowed:
            row["reason"] = (
                f"Out: its smallest segment holds {row['smallest_share']:.1%} of the users, less than "
                f"min_segment_share {min_segment_share:.1%}."
            )
    if not allowed:
        champion = max((rows[index] for index in listed), key=lambda row: row["smallest_share"])
        champion["is_champion"] = True
        champion["reason"] += " Chosen all the same: every other candidate has a smaller smallest segment."
        return champion

    ranks = {name: rankdata([-height[index] for index in allowed]) for name, height in heights.items()}
    means = np.mean(list(ranks.values()), axis=0).round(6)
    winner = int(means.argmin())
    for position, index in enumerate(allowed):
        row = rows[index]
        row["mean_rank"] = float(means[position])
        row["votes"] = int(sum(rank[position] == rank.min() for rank in ranks.values()))
        placed = ", ".join(f"{name.replace('_', '-')} {rank[position]:g}" for name, rank in ranks.items())
        verdict = f"mean rank {means[position]:.1f} of {len(allowed)} ({placed})"
        row["is_champion"] = position == winner
        row["reason"] = (
            f"Chosen, {row['clusters']} segments: {verdict}."
            if position == winner
            else (f"{verdict[0].upper()}{verdict[1:]}.")
        )
    return rows[allowed[winner]]


def _heights(rows: list[dict], name: str) -> np.ndarray:
    """Return how good each row is by one index, so that higher is better and an undefined index is worst."""
    values = np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)
    if name == "stability":
        return np.nan_to_num(np.minimum(values, STABLE), nan=-1.0).round(6)
    values *= INDICES[name]
    if name == "calinski_harabasz":
        values = np.log(np.maximum(values, 1e-12))
    known = np.isfinite(values)
    # Three points leave a line no room to be wrong: then the plain values count.
    if known.sum() > 3:
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
