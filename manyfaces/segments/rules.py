"""Whether the rules of a seed can divide users: what seeds/segment_rules.csv may hold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

COLUMNS = (
    *("segmentation", "priority", "segment_code", "segment_name"),
    *("feature", "measure", "at_least", "below", "equals"),
)
MEASURES = ("value", "percentile")
NUMBERS = ("double", "bigint", "integer")
TEXTS = ("string", "boolean")


def rules_problem(
    rules: Sequence[Mapping[str, Any]], segmentations: Iterable[str], columns: Mapping[str, str]
) -> str | None:
    """Look for the first mistake in the rules of the segmentations that are declared.

    Args:
        rules: Rows of the seed, every value a text or None.
        segmentations: Names of the segmentations that are made by rules.
        columns: Type by name of the columns of users; those with numbers and texts can be features.

    Returns:
        One sentence that names the line and what is wrong, or None.
    """
    missing = [name for name in COLUMNS if rules and name not in rules[0]]
    if missing:
        return f"segment_rules.csv has no column '{missing[0]}'; its columns are {', '.join(COLUMNS)}."
    features = {name: kind for name, kind in columns.items() if kind in NUMBERS + TEXTS}
    for segmentation in segmentations:
        own = [(line, row) for line, row in enumerate(rules, 2) if row["segmentation"] == segmentation]
        if not own:
            return (
                f"segmentation {segmentation} is made by rules, but seeds/segment_rules.csv has none for it; "
                "add a line with its name."
            )
        seen: dict[tuple, int] = {}
        names: dict[str, str] = {}
        for line, row in own:
            problem = (
                _row_problem(row, features)
                or _name_problem(row, names)
                or _repetition(row, seen.setdefault(_key(row), line), line)
            )
            if problem:
                return f"line {line} of seeds/segment_rules.csv ({segmentation}): {problem}."
    return None


def _key(row: Mapping[str, Any]) -> tuple:
    return tuple(row[name] for name in ("priority", "segment_code", "feature", "measure"))


def _repetition(row: Mapping[str, Any], first: int, line: int) -> str | None:
    if first == line:
        return None
    subject = f"the {row['measure']} of {row['feature']}" if row["feature"] else "everyone"
    return f"line {first} has a condition on {subject} for the same rule; make one line of both"


def _name_problem(row: Mapping[str, Any], names: dict[str, str]) -> str | None:
    """Return why code and name of a segment do not fit those of earlier lines, which are added to `names`."""
    code, name = row["segment_code"], row["segment_name"]
    if names.setdefault(code, name) != name:
        return f"{code} has another name above, '{names[code]}'"
    twin = next((other for other, known in names.items() if known == name and other != code), None)
    return f"the name '{name}' is that of {twin} above; each segment needs its own" if twin else None


def _row_problem(row: Mapping[str, Any], features: Mapping[str, str]) -> str | None:
    """Return what is wrong with a line by itself."""
    if not re.fullmatch(r"-?\d+", row["priority"] or ""):
        return f"priority must be a whole number, not {row['priority']!r}"
    code = row["segment_code"]
    if not re.fullmatch(r"[a-z0-9_-]+", code or "") or code == "unassigned":
        return f"segment_code must be made of a to z, 0 to 9, _ and -, and not be unassigned; it is {code!r}"
    if not row["segment_name"]:
        return "segment_name is missing"
    bounds = [name for name in ("at_least", "below") if row[name]]
    for name in bounds:
        if _number(row[name]) is None:
            return f"{name} must be a number, not {row[name]!r}"
    if not row["feature"]:
        filled = [name for name in ("measure", "at_least", "below", "equals") if row[name]]
        return f"{filled[0]} is given without a feature" if filled else None
    return _condition_problem(row, features, bounds)


def _condition_problem(row: Mapping[str, Any], features: Mapping[str, str], bounds: list[str]) -> str | None:
    """Return what is wrong with feature, measure and bounds of a line."""
    feature, measure = row["feature"], row["measure"]
    if feature not in features:
        nearest = get_close_matches(feature, features, n=1)
        guess = f"; did you mean {nearest[0]!r}?" if nearest else "."
        return f"there is no feature {feature!r}{guess} Take a column of user_features or user_attributes"
    if measure not in MEASURES:
        return f"measure must be value or percentile, not {measure!r}"
    if not bounds and not row["equals"]:
        return "at_least, below or equals must be given"
    if bounds and row["equals"]:
        return "equals stands alone, without at_least and below"
    is_text = features[feature] in TEXTS
    if is_text and (bounds or measure != "value"):
        return f"{feature} is a text, so it needs the measure value and equals"
    if measure == "percentile" and row["equals"]:
        return "a percentile needs at_least or below, not equals"
    if not is_text and row["equals"] and _number(row["equals"]) is None:
        return f"{feature} is a number, so equals must be one, not {row['equals']!r}"
    if len(bounds) == 2 and _number(row["at_least"]) >= _number(row["below"]):
        return f"at_least ({row['at_least']}) must be less than below ({row['below']})"
    if measure == "percentile" and not all(0 <= _number(row[name]) <= 1 for name in bounds):
        return "a percentile is between 0 and 1"
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
