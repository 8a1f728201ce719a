"""Settings of the algorithms that are fitted in Python: types, ranges and defaults, in this one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The indices that vote, and whether high (1) or low (-1) is good.
INDICES = {
    "silhouette": 1,
    "calinski_harabasz": 1,
    "davies_bouldin": -1,
    "dunn": 1,
    "gap": 1,
    "stability": 1,
    "predictive": 1,
}

# Reproducible segments that foretell behaviour lead: on data without gaps the geometric indices say little.
DEFAULT_VOTE = {
    "stability": 3,
    "predictive": 3,
    "silhouette": 1,
    "calinski_harabasz": 1,
    "davies_bouldin": 1,
    "dunn": 1,
    "gap": 1,
}

REQUIRED = object()


@dataclass(frozen=True)
class Setting:
    """One setting of an algorithm.

    Attributes:
        kind: whole (number), number, wholes (a list of whole numbers), choice (of a text) or vote (weights
            by index).
        default: Its value when it is absent or null, or REQUIRED. A default of None means that the algorithm
            finds the value itself.
        low: Least allowed value.
        high: Largest allowed value.
        choices: Allowed texts.
        is_low_allowed: Whether `low` itself is allowed.
    """

    kind: str
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    is_low_allowed: bool = True


_NUMBERS_OF_SEGMENTS = Setting("wholes", low=2)
_VOTE = Setting("vote", default=DEFAULT_VOTE, low=0)
_MIN_SAMPLES = Setting("whole", default=10, low=2)


def _fit_users(default: int) -> Setting:
    """Users that a fit takes at most; the others are assigned."""
    return Setting("whole", default=default, low=2)


ALGORITHM_SETTINGS: dict[str, dict[str, Setting]] = {
    "kmeans": {"candidates": _NUMBERS_OF_SEGMENTS, "vote": _VOTE},
    "gaussian_mixture": {
        "candidates": _NUMBERS_OF_SEGMENTS,
        "vote": _VOTE,
        "covariance": Setting("choice", default="diag", choices=("diag", "full")),
        "max_fit_users": _fit_users(20_000),
    },
    "ward": {"levels": _NUMBERS_OF_SEGMENTS},
    "dbscan": {
        "min_samples": _MIN_SAMPLES,
        "max_fit_users": _fit_users(20_000),
        "eps": Setting("number", default=None, low=0, is_low_allowed=False),
    },
    "hdbscan": {
        "candidates": Setting("wholes", default=None, low=2),
        "vote": _VOTE,
        "min_samples": _MIN_SAMPLES,
        "max_fit_users": _fit_users(10_000),
    },
    "knn": {
        "neighbours": Setting("wholes", default=[5, 10, 20, 40], low=1),
        "min_probability": Setting("number", default=0.5, low=0, high=1),
        "max_fit_users": _fit_users(20_000),
    },
    "label_propagation": {"max_rounds": Setting("whole", default=50, low=1)},
}


def settings_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a segmentation's own settings, with defaults where it states none."""
    table = ALGORITHM_SETTINGS[spec["algorithm"]]
    return {
        name: setting.default if spec.get(name) is None else spec[name] for name, setting in table.items()
    }


def setting_problem(algorithm: str, settings: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the settings of an algorithm, without the final stop; None if nothing is.

    Args:
        algorithm: A key of ALGORITHM_SETTINGS.
        settings: Values by name; names that the algorithm does not have are passed over.
    """
    for name, setting in ALGORITHM_SETTINGS[algorithm].items():
        value = settings.get(name)
        if value is None:
            if setting.default is REQUIRED:
                return f"the setting {name!r} is missing"
            continue
        problem = _value_problem(setting, value)
        if problem:
            return f"{name} must be {problem}, not {value!r}"
    return None


def _value_problem(setting: Setting, value: Any) -> str | None:
    """Return what a value should have been; None if it is."""
    if setting.kind == "vote":
        names = ", ".join(INDICES)
        right = (
            isinstance(value, Mapping)
            and set(value) <= set(INDICES)
            and all(_is_within(setting, weight) for weight in value.values())
            and any(value.values())
        )
        return None if right else f"weights from 0 on, not all 0, of some of the indices {names}"
    if setting.kind == "choice":
        return None if value in setting.choices else f"one of {', '.join(setting.choices)}"
    if setting.kind == "wholes":
        right = isinstance(value, list | tuple) and value and all(_is_whole(setting, one) for one in value)
        return None if right else f"a list of whole numbers {_range(setting)}"
    if setting.kind == "whole":
        return None if _is_whole(setting, value) else f"a whole number {_range(setting)}"
    if _is_within(setting, value):
        return None
    return f"a number {_range(setting)}" + (", or null for a search" if setting.default is None else "")


def _is_within(setting: Setting, value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    above = value >= setting.low if setting.is_low_allowed else value > setting.low
    return above and (setting.high is None or value <= setting.high)


def _is_whole(setting: Setting, value: Any) -> bool:
    return isinstance(value, int) and _is_within(setting, value)


def _range(setting: Setting) -> str:
    if setting.high is not None:
        return f"from {setting.low} to {setting.high}"
    return f"from {setting.low} on" if setting.is_low_allowed else f"above {setting.low}"
