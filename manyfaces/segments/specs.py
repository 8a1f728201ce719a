"""Declarations of segmentations: what may stand in the variable `segmentations`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from manyfaces.embeddings.encoders import registry
from manyfaces.segments.requirements import REQUIREMENTS
from manyfaces.segments.settings import ALGORITHM_SETTINGS, setting_problem

ENCODERS = tuple(sorted({*registry.TABLE_ENCODERS, *registry.ENCODERS}))
BLOCKS = ("activity", "categories", "text", "vae", "factors", "attributes")
# The lists for visitors about whom nothing is known have this name.
RESERVED_NAMES = ("everyone",)

_EVERY = frozenset({"name", "algorithm", "population"})
_VECTORS = _EVERY | {"encoder", "blocks", "dims", "vote", "min_segment_share"}
# The settings of each algorithm.
PYTHON_ALGORITHMS = {name: _VECTORS | settings.keys() for name, settings in ALGORITHM_SETTINGS.items()}
SQL_ALGORITHMS = {
    "rfm": _EVERY | {"cuts"},
    "demographic": _EVERY | {"columns", "min_share"},
    "rules": _EVERY,
    "top_interest": _EVERY | {"by", "min_share", "min_events"},
}
ALGORITHMS = PYTHON_ALGORITHMS | SQL_ALGORITHMS
_REQUIRED = {"demographic": ("columns",)}
# Communities are found in the relations of users, not in vectors.
_WITHOUT_VECTORS = ("label_propagation",)


def validate_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Check one segmentation's declaration and return it as a plain dict without nulls.

    Whether an encoder or a block exists is not checked here but in `check_specs`, which is told their names.

    Raises:
        ValueError: One sentence that names the segmentation, what is wrong, and what is allowed.
    """
    if not isinstance(spec, Mapping):
        raise ValueError(f"A segmentation is declared by a block of settings, not by {spec!r}.")
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"A segmentation in `segmentations` has no name: {dict(spec)!r}.")
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"Segmentation {name}: a name is made of a to z, 0 to 9 and _ only.")
    if name in RESERVED_NAMES:
        raise ValueError(
            f"Segmentation {name}: the name is taken by the lists for strangers; choose another."
        )
    algorithm = spec.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _problem(spec, f"the algorithm {algorithm!r} is unknown{_known(algorithm, ALGORITHMS)}")
    _check_keys(spec)
    given = {key: value for key, value in spec.items() if value is not None}
    for key, value in given.items():
        if key in REQUIREMENTS and not REQUIREMENTS[key][0](value):
            raise _problem(spec, f"{key} must be {REQUIREMENTS[key][1]}, not {value!r}")
    return given


def check_specs(specs: Sequence[Mapping[str, Any]], encoders: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Check the whole list, with the names of its encoders and blocks.

    Args:
        specs: What stands in the variable `segmentations`.
        encoders: Names of encoders that are declared beside ENCODERS.

    Returns:
        The declarations without nulls.

    Raises:
        ValueError: If the list is not a list, a name occurs twice, or a declaration is wrong.
    """
    checked = _checked_alone(specs)
    known_encoders = (*ENCODERS, *encoders)
    known_blocks = (*BLOCKS, *known_encoders)
    for spec in checked:
        encoder = spec.get("encoder")
        if encoder is not None and encoder not in known_encoders:
            raise _problem(spec, f"the encoder {encoder!r} is unknown{_known(encoder, known_encoders)}")
        for block in spec.get("blocks", ()):
            if block not in known_blocks:
                raise _problem(spec, f"the block {block!r} is unknown{_known(block, known_blocks)}")
    return checked


def python_specs(specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check the declarations and return those that are clustered in Python.

    Raises:
        ValueError: If the list is not a list, a name occurs twice, or a declaration is wrong.
    """
    return [spec for spec in _checked_alone(specs) if spec["algorithm"] in PYTHON_ALGORITHMS]


def _checked_alone(specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(specs, list | tuple):
        raise ValueError(f"`segmentations` must be a list of blocks, not {specs!r}.")
    checked = [validate_spec(spec) for spec in specs]
    names = [spec["name"] for spec in checked]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two segmentations have the name {name}: names must be unique.")
    return checked


def _check_keys(spec: Mapping[str, Any]) -> None:
    """Refuse settings that the algorithm does not have, and the lack of those that it needs."""
    algorithm = spec["algorithm"]
    settings = ALGORITHMS[algorithm]
    for key in spec:
        if key not in settings:
            raise _problem(spec, f"{algorithm} has no setting {key!r}{_known(key, settings)}")
    for key in _REQUIRED.get(algorithm, ()):
        if spec.get(key) is None:
            raise _problem(spec, f"the setting {key!r} is missing")
    if algorithm in SQL_ALGORITHMS:
        return
    problem = setting_problem(algorithm, spec)
    if problem:
        raise _problem(spec, problem)
    sources = [key for key in ("encoder", "blocks") if spec.get(key) is not None]
    if len(sources) == 2:
        raise _problem(spec, "it has both an encoder and blocks; remove one of them")
    if not sources and algorithm not in _WITHOUT_VECTORS:
        raise _problem(spec, "it needs an encoder, such as encoder: fused, or blocks with weights")
    if spec.get("dims") is not None and "blocks" not in sources:
        raise _problem(spec, "dims is the length of vectors made of blocks, and there are no blocks")


def _problem(spec: Mapping[str, Any], problem: str) -> ValueError:
    return ValueError(f"Segmentation {spec['name']}: {problem}.")


def _known(wrong: Any, names: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, and all of them."""
    known = sorted(set(names))
    nearest = get_close_matches(str(wrong), known, n=1)
    guess = f"; did you mean {nearest[0]!r}? Known" if nearest else "; known"
    return f"{guess} are {', '.join(known)}"
