"""What may stand in seeds/segment_rules.csv."""

import csv

import pytest
from conftest import PROJECT

from manyfaces.segments.rules import COLUMNS, rules_problem

USERS = {
    "amount": "double",
    "events": "bigint",
    "region": "string",
    "has_consent": "boolean",
    "born": "timestamp",
}


def rule(**changes):
    row = dict.fromkeys(COLUMNS) | {
        "segmentation": "tiers",
        "priority": "1",
        "segment_code": "high",
        "segment_name": "High",
        "feature": "amount",
        "measure": "value",
        "at_least": "5",
    }
    return row | changes


REST = rule(priority="9", segment_code="rest", segment_name="Rest", feature=None, measure=None, at_least=None)


@pytest.mark.parametrize(
    "row",
    [
        rule(),
        rule(measure="percentile", at_least="0.25", below="0.75"),
        rule(at_least=None, equals="5"),
        rule(feature="events", at_least="-1.5", below="1e3"),
        rule(feature="region", at_least=None, equals="north"),
        rule(feature="has_consent", at_least=None, equals="true"),
        rule(priority="-3", segment_code="high-2_b"),
        REST,
    ],
)
def test_good_rules_pass(row):
    assert rules_problem([row, REST | {"priority": "10"}], ["tiers"], USERS) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"feature": "amounts"},
            "there is no feature 'amounts'; did you mean 'amount'? Take a column of user_features "
            "or user_attributes.",
        ),
        ({"feature": "born"}, "there is no feature 'born'. Take a column of "),
        ({"measure": "rank"}, "measure must be value or percentile, not 'rank'."),
        ({"measure": None}, "measure must be value or percentile, not None."),
        ({"at_least": None}, "at_least, below or equals must be given."),
        ({"equals": "5"}, "equals stands alone, without at_least and below."),
        ({"at_least": "much"}, "at_least must be a number, not 'much'."),
        ({"below": "5"}, "at_least (5) must be less than below (5)."),
        ({"measure": "percentile"}, "a percentile is between 0 and 1."),
        ({"measure": "percentile", "at_least": None, "equals": "1"}, "a percentile needs at_least or below"),
        ({"at_least": None, "equals": "five"}, "amount is a number, so equals must be one, not 'five'."),
        ({"feature": "region"}, "region is a text, so it needs the measure value and equals."),
        (
            {"feature": "region", "measure": "percentile", "at_least": None, "equals": "a"},
            "region is a text, so it needs the measure value and equals.",
        ),
        ({"feature": None}, "measure is given without a feature."),
        ({"feature": None, "measure": None}, "at_least is given without a feature."),
        ({"priority": "first"}, "priority must be a whole number, not 'first'."),
        ({"priority": None}, "priority must be a whole number, not None."),
        ({"segment_code": "High value"}, "segment_code must be made of a to z, 0 to 9, _ and -, "),
        ({"segment_code": "unassigned"}, "and not be unassigned; it is 'unassigned'."),
        ({"segment_name": None}, "segment_name is missing."),
    ],
)
def test_a_wrong_line_is_named(changes, expected):
    said = rules_problem([REST, rule(**changes)], ["tiers"], USERS)
    assert said.startswith("line 3 of seeds/segment_rules.csv (tiers): ")
    assert expected in said
    assert "\n" not in said


def test_a_segment_has_one_name_and_a_name_one_segment():
    other_name = rules_problem([rule(), rule(priority="2", segment_name="Top")], ["tiers"], USERS)
    assert other_name.endswith("high has another name above, 'High'.")
    other_code = rules_problem([rule(), rule(priority="2", segment_code="top")], ["tiers"], USERS)
    assert other_code.endswith("the name 'High' is that of high above; each segment needs its own.")


def test_a_condition_stands_once_in_a_rule():
    said = rules_problem([rule(), rule(at_least=None, below="9")], ["tiers"], USERS)
    assert said.endswith(
        "line 2 has a condition on the value of amount for the same rule; make one line of both."
    )
    assert "a condition on everyone" in rules_problem([REST, REST], ["tiers"], USERS)


def test_a_segmentation_by_rules_needs_rules():
    assert rules_problem([rule()], ["tier"], USERS) == (
        "segmentation tier is made by rules, but seeds/segment_rules.csv has none for it; "
        "add a line with its name."
    )
    assert "has none for it" in rules_problem([], ["tiers"], USERS)


def test_rules_of_other_segmentations_wait():
    assert rules_problem([rule(), rule(segmentation="later", feature="unheard_of")], ["tiers"], USERS) is None


def test_a_missing_column_is_named():
    row = rule()
    del row["measure"]
    assert rules_problem([row], ["tiers"], USERS).startswith("segment_rules.csv has no column 'measure'; ")


def test_the_seed_has_the_columns_that_are_checked():
    with (PROJECT / "seeds" / "segment_rules.csv").open() as file:
        assert tuple(csv.DictReader(file).fieldnames) == COLUMNS
