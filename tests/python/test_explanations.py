import math

import numpy as np
import polars as pl
import pytest
from languages import CHINESE, ENGLISH

from manyfaces.segments.explanations import (
    ANY_SHARE,
    RULE_SCHEMA,
    Condition,
    Feature,
    explain_segments,
    matches,
    readable_bound,
    rule_text,
    rules_of_segment,
)
from manyfaces.store import ArtifactStore

DAYS = Feature("active days", "number", is_whole=True)
GAP = Feature("mean days between active days", "number")
AMOUNT = Feature("amount in all", "amount")
SUNDAYS = Feature("share of events on Sundays", "share")
PRICES = Feature("prices in their categories", "log_ratio")
COFFEE = Feature("Coffee", "category")
FEATURES = [DAYS, GAP, AMOUNT, SUNDAYS, PRICES, COFFEE]


@pytest.mark.parametrize(
    ("threshold", "feature", "bound"),
    [
        (11.5, DAYS, 12),
        (11.0, DAYS, 12),  # a tree sends 11 to the left: what lies above begins at 12
        (9.2537, GAP, 9.3),
        (862.71, AMOUNT, 863),
        (1234.5, AMOUNT, 1230),
        (0.04129, COFFEE, 0.041),
        (0.0002, SUNDAYS, ANY_SHARE),
        (-0.2231, PRICES, math.log(0.8)),
        (-9.0, PRICES, math.log(0.01)),
    ],
)
def test_golden_bounds_read_well(threshold, feature, bound):
    assert readable_bound(threshold, feature) == bound


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            (Condition(5, 0.04), Condition(0, 12)),
            "share of Coffee at least 4.0 % and active days at least 12",
        ),
        ((Condition(0, 3, 12),), "active days from 3 to below 12"),
        ((Condition(5, ANY_SHARE),), "any Coffee"),
        ((Condition(3, high=ANY_SHARE),), "no share of events on Sundays"),
        ((Condition(5, ANY_SHARE, 0.02),), "some Coffee, below 2.0 %"),
        ((Condition(2, 1230, 45600),), "amount in all from 1,230 to below 45,600"),
        ((Condition(1, high=9.3),), "mean days between active days below 9.3"),
        ((Condition(4, high=math.log(0.8)),), "prices in their categories below 0.80 times the usual"),
    ],
)
def test_golden_rules_in_words(rule, text):
    assert rule_text(rule, FEATURES, ENGLISH) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ((Condition(5, 0.04), Condition(0, 12)), "Coffee的占比至少 4.0%，且active days至少 12"),
        ((Condition(5, ANY_SHARE),), "有Coffee"),
        ((Condition(3, high=ANY_SHARE),), "没有share of events on Sundays"),
        ((Condition(5, ANY_SHARE, 0.02),), "有Coffee，低于 2.0%"),
        ((Condition(2, 1230, 45600),), "amount in all从 1,230 到低于 45,600"),
        ((Condition(4, high=math.log(0.8)),), "prices in their categories低于 通常的 0.80 倍"),
    ],
)
def test_golden_rules_in_chinese(rule, text):
    assert rule_text(rule, FEATURES, CHINESE) == text


def test_bounds_take_in_the_lower_and_leave_out_the_upper_end():
    values = np.array([[2.0], [3.0], [11.0], [12.0]])
    assert matches((Condition(0, 3, 12),), values).tolist() == [False, True, True, False]


def planted(users=1000, seed=0):
    """Half-noise figures; members are those with at least 12 active days and coffee above 4 %."""
    generator = np.random.default_rng(seed)
    days = generator.integers(0, 24, users)
    coffee = generator.choice([0.0, 0.01, 0.03, 0.06, 0.09], users)
    noise = generator.normal(size=users)
    values = np.column_stack([days, noise, coffee])
    is_held_out = generator.random(users) < 0.3
    return values, (days >= 12) & (coffee > 0.04), is_held_out


def rules(values, is_member, is_held_out, features=(DAYS, GAP, COFFEE), min_users=5):
    return rules_of_segment(values, is_member, is_held_out, features, ENGLISH, min_users=min_users, seed=7)


def test_a_planted_rule_is_found_and_holds_on_held_out_users():
    values, is_member, is_held_out = planted()
    (rule,) = rules(values, is_member, is_held_out)
    assert sorted(rule.pop("rule").split(" and ")) == [
        "active days at least 12",
        "share of Coffee at least 4.5 %",
    ]
    members = int(is_member[is_held_out].sum())
    assert rule == {
        "rule_rank": 1,
        "users_matched": members,
        "users_measured": int(is_held_out.sum()),
        "precision": 1.0,
        "recall": 1.0,
        "lift": round(int(is_held_out.sum()) / members, 6),
        "fidelity": 1.0,
    }


def test_golden_figures_are_of_held_out_users_only():
    # In the fit days tell members exactly; of the ten held-out users three match, one of them a member.
    values = np.array([[day] for day in [0.0] * 50 + [20.0] * 50 + [20.0] * 3 + [0.0] * 7])
    is_member = np.array([False] * 50 + [True] * 50 + [True, False, False] + [True] + [False] * 6)
    is_held_out = np.arange(110) >= 100
    (rule,) = rules(values, is_member, is_held_out, features=[DAYS], min_users=3)
    assert rule["rule"] == "active days at least 11"
    assert (rule["users_matched"], rule["users_measured"]) == (3, 10)
    assert rule["precision"] == pytest.approx(1 / 3, abs=1e-6)
    assert rule["recall"] == 0.5
    assert rule["lift"] == pytest.approx((1 / 3) / 0.2, abs=1e-6)
    assert rule["fidelity"] == pytest.approx((0.5 + 6 / 8) / 2, abs=1e-6)


def test_chance_makes_no_rule_among_a_hundred_figures():
    generator = np.random.default_rng(1)
    values = generator.gamma(1, 10, (2500, 100))
    held_out = generator.random(2500) < 0.3
    found = [
        rules(values, generator.random(2500) < share, held_out, features=[GAP] * 100)
        for share in (0.05, 0.1, 0.3)
    ]
    assert found == [[], [], []]


@pytest.mark.parametrize("members", [slice(0, 0), slice(0, 4), slice(0, 1000), slice(0, 997)])
def test_a_segment_that_is_too_small_or_is_everybody_has_no_rules(members):
    values, is_member, is_held_out = planted()
    is_member = np.zeros(len(values), dtype=bool)
    is_member[members] = True
    values[:, 0] = is_member * 20
    assert rules(values, is_member, is_held_out) == []


def test_a_rule_that_too_few_held_out_users_match_is_not_told():
    values, is_member, is_held_out = planted()
    kept = ~(is_member & is_held_out) | (np.cumsum(is_member & is_held_out) <= 4)
    assert rules(values[kept], is_member[kept], is_held_out[kept]) == []
    assert len(rules(values[kept], is_member[kept], is_held_out[kept], min_users=4)) == 1


NO_CATEGORIES = pl.DataFrame(schema={"user_key": pl.String, "category": pl.String, "share": pl.Float32})
LABELS = pl.DataFrame(
    [("days", "active days", "number"), ("noise", "noise", "amount")],
    schema=["feature", "label", "unit"],
    orient="row",
)
CATEGORY_LABELS = pl.DataFrame({"category": ["COFFEE"], "label": ["Coffee"]})
ASSIGNMENT_SCHEMA = {
    "segmentation": pl.String,
    "user_key": pl.String,
    "segment_id": pl.String,
    "is_unassigned": pl.Boolean,
}


def frames(users=1000):
    values, is_member, is_held_out = planted(users)
    keys = [f"user-{number:05}" for number in range(users)]
    features = pl.DataFrame(
        {"user_key": keys, "is_held_out": is_held_out, "days": values[:, 0], "noise": values[:, 1]}
    )
    shares = pl.DataFrame({"user_key": keys, "category": "COFFEE", "share": values[:, 2]})
    assignments = pl.DataFrame(
        {
            "segmentation": "taste",
            "user_key": keys,
            "segment_id": ["taste-01" if member else "taste-unassigned" for member in is_member],
            "is_unassigned": ~is_member,
        },
        schema=ASSIGNMENT_SCHEMA,
    )
    return features, shares.filter(pl.col("share") > 0), assignments


def explained(features, shares, assignments, folder, phrases=ENGLISH):
    return explain_segments(
        features,
        shares,
        assignments,
        LABELS,
        CATEGORY_LABELS,
        phrases=phrases,
        min_users=5,
        seed=7,
        store=ArtifactStore(folder),
    )


def test_segments_are_explained_and_unassigned_users_only_stand_beside_them(tmp_path):
    found = explained(*frames(), tmp_path)
    assert dict(found.schema) == RULE_SCHEMA
    assert found["segment_id"].to_list() == ["taste-01"]
    assert "share of Coffee at least 4.5 %" in found["rule"][0]
    assert found["precision"].to_list() == [1.0]
    assert found["run_id"][0].startswith("explaining_rules-")


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    first = explained(*frames(), tmp_path / "first")
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=3) for frame in frames()]
    assert explained(*shuffled, tmp_path / "second").equals(first)


def test_assigned_users_without_features_are_passed_over(tmp_path):
    features, shares, assignments = frames()
    silent = pl.DataFrame([("taste", "silent", "taste-01", False)], schema=ASSIGNMENT_SCHEMA, orient="row")
    found = explained(features, shares, pl.concat([assignments, silent]), tmp_path)
    assert found.equals(explained(features, shares, assignments, tmp_path))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("users", [0, 1, 2])
def test_few_users_give_a_typed_empty_frame(tmp_path, users):
    features, shares, assignments = (frame.head(users) for frame in frames())
    found = explained(features, shares, assignments, tmp_path)
    assert found.is_empty()
    assert dict(found.schema) == RULE_SCHEMA


def test_data_without_categories_is_explained_by_features(tmp_path):
    features, _, assignments = frames()
    found = explained(features, NO_CATEGORIES, assignments, tmp_path)
    assert found["rule"].str.starts_with("active days at least 12").all()
    assert found["lift"][0] > 1.5


def test_rules_of_one_language_are_not_taken_for_those_of_another(tmp_path):
    english = explained(*frames(), tmp_path)
    chinese = explained(*frames(), tmp_path, CHINESE)
    assert "Coffee的占比至少 4.5%" in chinese["rule"][0]
    assert chinese["run_id"][0] != english["run_id"][0]
    assert chinese.drop("rule", "run_id").equals(english.drop("rule", "run_id"))
    assert explained(*frames(), tmp_path).equals(english)
