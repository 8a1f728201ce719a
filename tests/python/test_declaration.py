"""The check of segmentations, as it is asked by the database."""

import json

import pytest

from manyfaces.segments.declaration import declaration_problem
from manyfaces.segments.population import population_problem

USERS = {
    "events": "bigint",
    "amount": "double",
    "region": "string",
    "has_consent": "boolean",
    "born": "timestamp",
}
RFM = {"name": "rfm", "algorithm": "rfm"}
TIERS = {"name": "tiers", "algorithm": "rules"}


def problem(*segmentations, default="rfm", encoders=(), rules=None):
    return declaration_problem(
        json.dumps(
            {
                "segmentations": segmentations,
                "default_segmentation": default,
                "encoders": encoders,
                "columns": [{"name": name, "type": kind} for name, kind in USERS.items()],
                "rules": rules,
            }
        )
    )


@pytest.mark.parametrize(
    "condition",
    [
        "events >= 5 and has_consent",
        "has_consent",
        "region in ('north', 'south') or amount is null",
        "born < timestamp '2025-01-01' -- those of before",
        "has_consent is not true",
    ],
)
def test_conditions_that_the_database_can_read(condition):
    assert population_problem(condition, USERS) is None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("event >= 5", 'Referenced column "event" not found in FROM clause! Candidate bindings: "events"'),
        ("events >= ", "syntax error at or near"),
        ("events >= 5)", "syntax error at or near"),
        ("events", "it is no condition but a value of the type BIGINT"),
        ("'yes'", "it is no condition but a value of the type VARCHAR"),
        ("sum(events) > 5", "WHERE clause cannot contain aggregates"),
        ("twice(events) > 5", "twice does not exist"),
        ("true); select (true", "it is more than one condition"),
        ("region in (select region from regions)", "Table with name regions does not exist"),
    ],
)
def test_conditions_that_the_database_cannot_read(condition, expected):
    said = population_problem(condition, USERS)
    assert expected in said
    assert "\n" not in said
    assert "LINE" not in said


def test_nothing_is_wrong_with_good_declarations():
    assert problem(RFM | {"population": "events > 3"}) == ""
    assert (
        problem({"name": "own", "algorithm": "knn", "encoder": "mine"}, default="own", encoders=["mine"])
        == ""
    )


def test_a_wrong_population_is_named_with_its_segmentation():
    said = problem(RFM, RFM | {"name": "loud", "population": "noise > 3"})
    assert said.startswith("segmentation loud: its population 'noise > 3' cannot be used: Referenced column")
    assert said.endswith(".")


def test_a_wrong_declaration_is_a_sentence():
    assert problem({"name": "rfm"}).startswith(
        "segmentation rfm: the algorithm None is unknown; known are dbscan,"
    )
    assert problem("rfm") == "a segmentation is declared by a block of settings, not by 'rfm'."


def test_the_default_must_be_declared():
    assert problem(RFM, TIERS, default="taste") == (
        "default_segmentation is 'taste', which no segmentation is called; use one of rfm, tiers."
    )


def test_rules_are_looked_at_where_there_is_a_seed():
    assert problem(RFM, TIERS) == ""
    assert "has none for it" in problem(RFM, TIERS, rules=[])
