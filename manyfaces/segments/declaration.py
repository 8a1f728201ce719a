"""The check of all that is declared about segmentations, in one call that a database can make."""

import json

from manyfaces.segments.population import population_problem
from manyfaces.segments.rules import rules_problem
from manyfaces.segments.specs import check_specs


def declaration_problem(declaration: str) -> str:
    """Return what is wrong with the declared segmentations as one sentence, or an empty text.

    Args:
        declaration: JSON with `segmentations` (the list), `default_segmentation`, `encoders` (names of those
            declared), `columns` (those of users: mappings with name and type) and `rules` (rows of the seed,
            or null if there is no seed to look at).
    """
    declared = json.loads(declaration)
    try:
        specs = check_specs(declared["segmentations"], declared["encoders"])
    except ValueError as error:
        return _small(str(error))
    default, names = declared["default_segmentation"], [spec["name"] for spec in specs]
    if default not in names:
        return (
            f"default_segmentation is '{default}', which no segmentation is called; "
            f"use one of {', '.join(names)}."
        )
    columns = {column["name"]: column["type"] for column in declared["columns"]}
    for spec in specs:
        condition = spec.get("population")
        problem = condition and population_problem(condition, columns)
        if problem:
            return f"segmentation {spec['name']}: its population '{condition}' cannot be used: {problem}."
    by_rules = [spec["name"] for spec in specs if spec["algorithm"] == "rules"]
    rules = declared["rules"]
    return (rules_problem(rules, by_rules, columns) or "") if rules is not None else ""


def _small(sentence: str) -> str:
    """Return a sentence with a small first letter, as those that stop a run have."""
    return sentence[:1].lower() + sentence[1:]
