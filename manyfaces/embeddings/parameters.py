"""Parameters that people declare in YAML: read into a dataclass, or refused with a sentence."""

from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES_OF_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
}


def setting(
    default: Any,
    *,
    low: float | None = None,
    above: float | None = None,
    below: float | None = None,
    high: float | None = None,
) -> Any:
    """Return a dataclass field with a default and the range that `read_parameters` holds a declaration to.

    Args:
        default: Value if nothing is declared.
        low: Smallest value, itself allowed.
        above: Values must be larger.
        below: Values must be smaller.
        high: Largest value, itself allowed.
    """
    limits = {"at least": low, "above": above, "below": below, "at most": high}
    return field(
        default=default, metadata={word: limit for word, limit in limits.items() if limit is not None}
    )


def read_parameters(owner: str, parameters: type, declared: Mapping[str, Any]) -> Any:
    """Return the dataclass `parameters` with what was declared, and its defaults for the rest.

    Args:
        owner: What the parameters belong to, the first words of every refusal.
        parameters: A dataclass; types are read from its hints, ranges from `setting`.
        declared: Values by name. A list stands for a tuple, and a whole number for a number.

    Raises:
        ValueError: If a name is unknown, or a value of the wrong type or out of range.
    """
    known = {entry.name: entry for entry in fields(parameters)}
    hints = get_type_hints(parameters)
    values = {}
    for name, value in declared.items():
        if name not in known:
            raise ValueError(f"{owner} has no parameter '{name}'{nearest(name, known)}")
        try:
            values[name] = _typed(value, hints[name])
        except TypeError as error:
            raise ValueError(f"{owner}: {name} must be {error}, not {value!r}.") from None
        _check_range(f"{owner}: {name}", values[name], known[name].metadata)
    try:
        return parameters(**values)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None


def nearest(name: Any, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    close = get_close_matches(str(name), known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}."


def _typed(value: Any, hint: Any) -> Any:
    """Return the value as the type hint wants it; a TypeError says what that would be."""
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _first_that_fits(value, options)
    if origin is Literal:
        if value not in options or isinstance(value, bool):
            raise TypeError(" or ".join(str(option) for option in options))
        return value
    if origin is tuple:
        entries = value if isinstance(value, list | tuple) else [value]
        try:
            return tuple(_typed(entry, options[0]) for entry in entries)
        except TypeError as error:
            raise TypeError(f"a list in which each entry is {error}") from None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if isinstance(value, hint) and (hint is not int or is_number):
        return value
    raise TypeError(_NAMES_OF_TYPES[hint])


def _first_that_fits(value: Any, hints: Iterable[Any]) -> Any:
    refusals = []
    for hint in hints:
        try:
            return _typed(value, hint)
        except TypeError as error:
            refusals.append(str(error))
    raise TypeError(" or ".join(refusals))


def _check_range(what: str, value: Any, limits: Mapping[str, float]) -> None:
    holds = {
        "at least": lambda number, limit: number >= limit,
        "above": lambda number, limit: number > limit,
        "below": lambda number, limit: number < limit,
        "at most": lambda number, limit: number <= limit,
    }
    for number in value if isinstance(value, tuple) else [value]:
        wrong = number is not None and any(not holds[word](number, limit) for word, limit in limits.items())
        if wrong:
            allowed = " and ".join(f"{word} {limit:g}" for word, limit in limits.items())
            raise ValueError(f"{what} is {number!r} but must be {allowed}.")
