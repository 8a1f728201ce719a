"""Declarations of segmentations: what may stand in the variable `segmentations`."""

from collections.abc import Mapping, Sequence
from typing import Any

from manyfaces.segments.settings import ALGORITHM_SETTINGS, setting_problem

# Segmentations that are made in SQL may stand in the same list; they are passed over here.
SQL_ALGORITHMS = frozenset({"rfm", "demographic", "rules", "top_interest"})
VECTOR_SOURCES = ("fused", "vae", "text", "factors")

_COMMON_KEYS = {"name", "vectors", "algorithm", "min_segment_share"}


def validate_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Check one segmentation's declaration and return it as a plain dict.

    Raises:
        ValueError: One sentence that names the segmentation, what is wrong, and what is allowed.
    """
    if not isinstance(spec, Mapping):
        raise ValueError(f"A segmentation is declared by a block of settings, not by {spec!r}.")
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"A segmentation in `segmentations` has no name: {dict(spec)!r}.")

    def fail(problem: str) -> None:
        raise ValueError(f"Segmentation {name}: {problem}.")

    algorithm = spec.get("algorithm")
    if algorithm not in ALGORITHM_SETTINGS:
        known = ", ".join(sorted(ALGORITHM_SETTINGS.keys() | SQL_ALGORITHMS))
        fail(f"the algorithm {algorithm!r} is unknown; known are {known}")
    allowed = _COMMON_KEYS | ALGORITHM_SETTINGS[algorithm].keys()
    unknown = sorted(set(spec) - allowed)
    if unknown:
        fail(f"{algorithm} has no setting {unknown[0]!r}; it has {', '.join(sorted(allowed))}")
    if spec.get("vectors") is None:
        fail("the setting 'vectors' is missing")
    if spec["vectors"] not in VECTOR_SOURCES:
        fail(f"the vectors {spec['vectors']!r} are unknown; known are {', '.join(VECTOR_SOURCES)}")
    share = spec.get("min_segment_share") or 0
    if not _is_number(share) or not 0 <= share < 1:
        fail(f"min_segment_share must be a number from 0 to below 1, not {share!r}")
    problem = setting_problem(algorithm, spec)
    if problem:
        fail(problem)
    return dict(spec)


def python_specs(specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check the declarations and return those that are clustered in Python.

    Raises:
        ValueError: If the list is not a list, a name occurs twice, or a declaration is wrong.
    """
    if not isinstance(specs, list | tuple):
        raise ValueError(f"`segmentations` must be a list of blocks, not {specs!r}.")
    blocks = [spec for spec in specs if isinstance(spec, Mapping)]
    names = [spec.get("name") for spec in blocks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two segmentations have the name {name}: names must be unique.")
    in_sql = [spec for spec in blocks if spec.get("algorithm") in SQL_ALGORITHMS]
    return [validate_spec(spec) for spec in specs if spec not in in_sql]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
