"""What the value of each setting of a segmentation may be."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

ATTRIBUTES = ("age_band", "gender", "region", "occupation", "income_band", "household")
RFM_FEATURES = ("recency_days", "frequency_days", "monetary_amount")
# Scores run from 1 to 5, so four points divide them.
CUT_POINTS = 4
VOTING_INDICES = (
    *("stability", "predictive", "silhouette", "calinski_harabasz", "davies_bouldin", "dunn", "gap"),
)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number from `least` on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_share(value: Any) -> bool:
    """Whether it is a number from 0 to below 1."""
    return is_number(value) and 0 <= value < 1


def is_text(value: Any) -> bool:
    """Whether it is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_list_of(valid: Callable[[Any], bool], value: Any) -> bool:
    """Whether it is a list with at least one entry, all of them valid."""
    return isinstance(value, list | tuple) and bool(value) and all(map(valid, value))


def is_ascending(values: Any) -> bool:
    """Whether each number of a list is above the one before it."""
    return is_list_of(is_number, values) and all(low < high for low, high in pairwise(values))


def are_weights(value: Any) -> bool:
    """Whether it is a mapping of names to numbers of at least 0, not all of them 0."""
    return (
        isinstance(value, Mapping)
        and all(is_text(name) and is_number(weight) and weight >= 0 for name, weight in value.items())
        and any(value.values())
    )


def are_cuts(value: Any) -> bool:
    """Whether it maps features of RFM to four ascending numbers each."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            feature in RFM_FEATURES and is_ascending(points) and len(points) == CUT_POINTS
            for feature, points in value.items()
        )
    )


def are_columns(value: Any) -> bool:
    """Whether it is a list of different attributes of users."""
    return is_list_of(lambda column: column in ATTRIBUTES, value) and len(set(value)) == len(value)


# Setting: what its value may be, as a check and in words.
REQUIREMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "population": (is_text, "a SQL condition as a text, or null for all users"),
    "encoder": (is_text, "the name of an encoder"),
    "blocks": (are_weights, "a mapping of blocks to weights, at least one above 0, such as {text: 1.0}"),
    "dims": (lambda value: is_whole(value, 1), "a whole number from 1 on"),
    "vote": (
        lambda value: are_weights(value) and set(value) <= set(VOTING_INDICES),
        f"weights from 0 on, not all 0, of some of the indices {', '.join(VOTING_INDICES)}",
    ),
    "min_segment_share": (is_share, "a number from 0 to below 1"),
    "candidates": (
        lambda value: is_list_of(lambda number: is_whole(number, 2), value),
        "a list of whole numbers from 2 on",
    ),
    "levels": (
        lambda value: is_list_of(lambda number: is_whole(number, 2), value) and is_ascending(value),
        "a list of ascending whole numbers from 2 on, such as [3, 8]",
    ),
    "min_samples": (lambda value: is_whole(value, 2), "a whole number from 2 on"),
    "max_fit_users": (lambda value: is_whole(value, 2), "a whole number from 2 on"),
    "eps": (lambda value: is_number(value) and value > 0, "a number above 0, or null for a search"),
    "cuts": (
        are_cuts,
        f"a mapping of some of {', '.join(RFM_FEATURES)} to four ascending numbers each, "
        "such as {recency_days: [7, 30, 60, 90]}",
    ),
    "columns": (are_columns, f"a list of some of {', '.join(ATTRIBUTES)}"),
    "min_share": (is_share, "a number from 0 to below 1"),
    "by": (lambda value: value in ("share", "lift"), "share or lift"),
    "min_events": (lambda value: is_whole(value, 1), "a whole number from 1 on"),
}
