"""Segment numbers that last: new segments are matched with those of the last build.

A refit gives the same groups other numbers, and slightly other members. The number of a segment is what
people write down, so it goes to the new segment that holds most of its users.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

MatchedBy = Literal["users", "profile", "nothing"]


@dataclass(frozen=True)
class Identities:
    """Numbers of k segments.

    Attributes:
        numbers: (k,) number of each, from 1 and never given twice.
        overlap: (k,) agreement with the segment of the same number at the last build: Jaccard index of the
            users, or cosine of the profiles; NaN for a new number.
        matched_by: What the match was made by.
        issued: Highest number that was ever given.
    """

    numbers: np.ndarray
    overlap: np.ndarray
    matched_by: MatchedBy
    issued: int


def number_segments(
    before: np.ndarray,
    after: np.ndarray,
    segments: int,
    issued: int,
    min_overlap: float,
    min_shared: float = 0.2,
    profiles_before: dict[int, np.ndarray] | None = None,
    profiles_after: np.ndarray | None = None,
) -> Identities:
    """Give each new segment the number of the old one it continues, or a number never used before.

    The pairs are those with the largest sum of agreements (Kuhn 1955, the Hungarian method); a pair below
    `min_overlap` is no match. Agreement is the Jaccard index of the users that both builds know. Where they
    share too few, it is the cosine of the segments' profiles, each as deviation from the mean profile, in
    features whose meaning does not change between builds; a latent space that was trained anew would not do.

    Args:
        before: (n,) number of the last build of each user that either build knows; 0 for users who were in
            no segment, -1 for users it did not know.
        after: (n,) new segment of the same users, 0 to segments - 1; -1 for none, -2 for users unknown now.
        segments: Number of new segments.
        issued: Highest number ever given; 0 at the first build.
        min_overlap: Smallest agreement of a match.
        min_shared: With a smaller share of users known to both builds, of the smaller of the two, profiles
            decide.
        profiles_before: By number, (f,) mean profile of the old segments.
        profiles_after: (segments, f) mean profile of the new ones, by the same features.

    Returns:
        The numbers; new ones continue after `issued` in the order of the new segments.
    """
    known_before, known_after = before >= 0, after >= -1
    shared = known_before & known_after
    smaller = min(known_before.sum(), known_after.sum())
    matched_by: MatchedBy = "users"
    old = np.unique(before[before > 0])
    if smaller and shared.sum() < min_shared * smaller and profiles_before and profiles_after is not None:
        matched_by = "profile"
        old = np.array(sorted(profiles_before))
        agreement = _profile_agreement(np.stack([profiles_before[number] for number in old]), profiles_after)
    else:
        agreement = _jaccard(
            np.searchsorted(old, before[shared]), before[shared] > 0, after[shared], len(old), segments
        )
    numbers = np.zeros(segments, dtype=np.int64)
    overlap = np.full(segments, np.nan)
    for old_row, new in zip(*linear_sum_assignment(-agreement), strict=True):
        if agreement[old_row, new] >= min_overlap and agreement[old_row, new] > 0:
            numbers[new], overlap[new] = old[old_row], agreement[old_row, new]
    born = numbers == 0
    numbers[born] = issued + 1 + np.arange(born.sum())
    return Identities(
        numbers=numbers,
        overlap=overlap.round(6),
        matched_by=matched_by if len(old) and segments else "nothing",
        issued=max(issued, int(numbers.max(initial=0))),
    )


def _jaccard(before: np.ndarray, in_segment: np.ndarray, after: np.ndarray, old: int, new: int) -> np.ndarray:
    """Return the Jaccard index (old, new) of the users of each pair of segments."""
    both = in_segment & (after >= 0)
    common = np.zeros((old, new))
    np.add.at(common, (before[both], after[both]), 1)
    sizes_before = np.bincount(before[in_segment], minlength=old)[:old]
    sizes_after = np.bincount(after[after >= 0], minlength=new)
    union = sizes_before[:, None] + sizes_after[None, :] - common
    return (common / np.maximum(union, 1)).round(9)


def _profile_agreement(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the cosine (old, new) of profiles as deviations from the mean of each side, not below 0."""
    sides = []
    for profiles in (before, after):
        deviation = profiles - profiles.mean(axis=0)
        length = np.linalg.norm(deviation, axis=1, keepdims=True)
        sides.append(deviation / np.maximum(length, 1e-12))
    return np.maximum(sides[0] @ sides[1].T, 0).round(9)
