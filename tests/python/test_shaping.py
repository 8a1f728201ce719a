"""The SQL that shapes lists, run on tables made here and held against plain Python."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from conftest import PROJECT

LISTS = ("for_you", "discover")
TOP_N = 8
ALL_ON = {
    "diversity": 0.4,
    "max_per_category": 3,
    "tail_share": 0.4,
    "exploration_slots": 2,
    "rotation_half_life_days": 14,
    "rotation_factor": 0.5,
}
SETTINGS = {
    "off": {},
    "steep": {"diversity": 0.8},
    "reserved": {"tail_share": 0.3, "exploration_slots": 3},
    "all": ALL_ON,
}
MODELS = (
    *("checked_rules", "item_rules", "tail_items", "shown_items", "shaped_candidates", "user_lists"),
    *("shown_log", "item_audiences", "onboarding_questions"),
)
SCHEMAS = {"shown_log": "marts", "item_audiences": "marts", "onboarding_questions": "marts"}

TABLES = """
    create table seeds.recommendation_rules (
        list text, segment_id text, item_id text, category text, rule text, value text, starts_on text,
        ends_on text, note text
    );
    create table staging.stg_items (item_id text, category text);
    create table staging.stg_impressions (
        impression_id text, user_key text, item_id text, shown_at timestamp, placement text, strategy text,
        variant text, position bigint
    );
    create table features.wall (as_of timestamp);
    create table features.events (
        user_key text, item_id text, event_type text, event_at timestamp, preference double
    );
    create table features.user_attributes (
        user_number integer, user_key text, has_consent boolean, positive_events bigint
    );
    create table features.item_stats (
        item_number integer, item_id text, title text, category text, is_active boolean, users bigint,
        positive_events bigint
    );
    create table features.user_item_affinity (user_key text, item_id text, positive_events bigint);
    create table segments.segment_assignments (
        segmentation text, user_key text, segment_id text, is_unassigned boolean
    );
    create table segments.segment_sizes (
        segmentation text, segment_id text, users bigint, is_unassigned boolean
    );
    create table segments.segment_labels (segmentation text, segment_id text, name text);
    create table segments.segment_item_stats (
        segmentation text, segment_id text, item_id text, users bigint, segment_users bigint, share double,
        lift double
    );
    create table recommendations.ranked_candidates (
        user_number integer, item_number integer, list text, score double, source text, is_repeat boolean
    );
"""


class Warehouse:
    """Tables in memory, and the compiled models on them."""

    def __init__(self, models: dict[str, str]) -> None:
        self.models = models
        self.connection = duckdb.connect()
        self.connection.execute("attach ':memory:' as warehouse; use warehouse").fetchall()
        for schema in ("seeds", "staging", "features", "segments", "recommendations", "marts"):
            self.connection.execute(f"create schema {schema}").fetchall()
        self.connection.execute(TABLES).fetchall()

    def fill(self, table: str, *rows: dict) -> None:
        for row in rows:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            self.connection.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))

    def run(self, *names: str) -> None:
        for name in names:
            schema = SCHEMAS.get(name, "recommendations")
            self.connection.execute(f"create table {schema}.{name} as {self.models[name]}").fetchall()

    def rows(self, query: str) -> list[tuple]:
        return self.connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return the SQL of the models under some settings; each is compiled once."""
    found: dict[str, dict[str, str]] = {}
    target = tmp_path_factory.mktemp("compiled")

    def compile_models(settings: dict) -> dict[str, str]:
        arguments = json.dumps({"top_n": TOP_N, "audience_size": 3, "onboarding_items": 4} | settings)
        if arguments not in found:
            done = subprocess.run(
                [
                    *[str(Path(sys.executable).with_name("dbt")), "compile", "--select", *MODELS],
                    *["--vars", arguments, "--target-path", str(target), "--log-path", str(target)],
                ],
                cwd=PROJECT,
                env=os.environ | {"MANYFACES_DATABASE": str(target / "warehouse.duckdb")},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout
            folder = target / "compiled" / "manyfaces" / "models"
            found[arguments] = {name: next(folder.rglob(f"{name}.sql")).read_text() for name in MODELS}
        return found[arguments]

    return compile_models


@pytest.fixture
def warehouse(compiled):
    return Warehouse(compiled({}))


def rule(**cells: str) -> dict:
    return {"rule": "ban", "item_id": "item 1"} | cells


# --- rules that cannot work ------------------------------------------------------------------------------


def with_rules(warehouse: Warehouse, *rules: dict) -> Warehouse:
    warehouse.fill("staging.stg_items", {"item_id": "item 1", "category": "lamps"}, {"item_id": "item 2"})
    warehouse.fill("features.wall", {"as_of": datetime(2025, 6, 30, 12)})
    warehouse.fill("seeds.recommendation_rules", *rules)
    return warehouse


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"rule": "bann"}, "the rule must be ban, pin, boost or cap, not 'bann'"),
        ({"rule": None}, "the rule must be ban, pin, boost or cap, not ''"),
        ({"list": "foryou"}, "there is no list 'foryou'; the lists are for_you and discover"),
        ({"item_id": "item 9"}, "there is no item 'item 9'"),
        ({"item_id": None, "category": "ropes"}, "there is no category 'ropes'"),
        ({"category": "lamps"}, "a rule is about an item or about a category, not about both"),
        ({"item_id": None}, "an item_id or a category is missing"),
        ({"value": "1"}, "a ban has no value"),
        ({"rule": "pin", "item_id": None, "category": "lamps", "value": "1"}, "a pin needs an item_id"),
        ({"rule": "cap", "value": "1"}, "a cap needs a category"),
        *(
            (
                {"rule": "pin", "value": value},
                "the value of a pin is its place, a whole number from 1 to top_n (8), not "
                f"'{(value or '').strip()}'",
            )
            for value in ("0", "9", "1.5", "first", "nan", None)
        ),
        *(
            (
                {"rule": "boost", "value": value},
                f"the value of a boost is a factor above 0 and up to 1000, not '{value or ''}'",
            )
            for value in ("0", "-2", "inf", "nan", "much", None)
        ),
        *(
            (
                {"rule": "cap", "item_id": None, "category": "lamps", "value": value},
                f"the value of a cap is a number of items, a whole number from 1, not '{value or ''}'",
            )
            for value in ("0", "2.5", "nan", "inf", "few", None)
        ),
        ({"starts_on": "soon"}, "starts_on is no date such as 2025-06-30: 'soon'"),
        ({"ends_on": "2025-02-30"}, "ends_on is no date such as 2025-06-30: '2025-02-30'"),
        ({"starts_on": "2025-06-02", "ends_on": "2025-06-01"}, "it ends before it starts"),
    ],
)
def test_a_rule_that_cannot_work_stops_the_build_with_its_row(warehouse, cells, expected):
    row = rule(**cells)
    names = ("list", "segment_id", "item_id", "category", "rule", "value", "starts_on", "ends_on", "note")
    line = ",".join(row.get(name) or "" for name in names)
    with pytest.raises(duckdb.Error) as raised:
        with_rules(warehouse, rule(), row).run("checked_rules")
    said = str(raised.value).partition("manyfaces: ")[2]
    assert said == f"the row '{line}' of seeds/recommendation_rules.csv cannot work: {expected}."


PIN = {"rule": "pin", "value": "1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"item_id": "item 2"}),
        ({}, {"value": "2"}),  # the same item twice
        ({"value": "1.0"}, {"item_id": "item 2"}),
        ({"list": "for_you"}, {"item_id": "item 2"}),
        ({"segment_id": "a"}, {"item_id": "item 2"}),
        ({"segment_id": "a"}, {"item_id": "item 2", "segment_id": "a"}),
        (
            {"starts_on": "2025-01-01", "ends_on": "2025-01-31"},
            {"item_id": "item 2", "starts_on": "2025-01-31"},
        ),
    ],
)
def test_two_pins_of_one_place_stop_the_build(warehouse, one, other):
    with pytest.raises(duckdb.Error, match="another pin has the same place or the same item at the same"):
        with_rules(warehouse, rule(**PIN | one), rule(**PIN | other)).run("checked_rules")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"item_id": "item 2", "value": "2"}),
        ({"list": "for_you"}, {"item_id": "item 2", "list": "discover"}),
        ({"segment_id": "a"}, {"item_id": "item 2", "segment_id": "b"}),
        (
            {"starts_on": "2025-01-01", "ends_on": "2025-01-31"},
            {"item_id": "item 2", "starts_on": "2025-02-01"},
        ),
        ({}, {"rule": "boost", "value": "1"}),
    ],
)
def test_pins_that_never_meet_pass(warehouse, one, other):
    with_rules(warehouse, rule(**PIN | one), rule(**PIN | other)).run("checked_rules")
    assert len(warehouse.rows("from recommendations.checked_rules")) == 2


def test_rules_hold_on_their_first_and_on_their_last_day(warehouse):
    days = {
        ("2025-06-30", None): True,
        ("2025-07-01", None): False,
        (None, "2025-06-30"): True,
        (None, "2025-06-29"): False,
        (" ", ""): True,
    }
    with_rules(warehouse, *(rule(starts_on=starts, ends_on=ends, note=str(ends)) for starts, ends in days))
    warehouse.run("checked_rules")
    found = warehouse.rows("select starts_on, ends_on, is_in_force from recommendations.checked_rules")
    assert {tuple(str(day) if day else None for day in row[:2]): row[2] for row in found} == {
        tuple((day or "").strip() or None for day in key): value for key, value in days.items()
    }


# --- lists against plain Python --------------------------------------------------------------------------


CATEGORIES = {6: "category 2", 8: "category 2", 11: None, 22: None, 33: None}


def crowd(warehouse: Warehouse, seed: int) -> dict:
    """Fill the tables with random users, items, candidates and impressions; equal scores are many."""
    random = np.random.default_rng(seed)
    items = [
        {
            "item_number": number,
            "item_id": f"item {number}",
            "title": f"Item {number}",
            "category": CATEGORIES.get(number, f"category {random.integers(5)}"),
            "is_active": number != 7,
            "users": 50 - number,
            "positive_events": int(1000 / number),
        }
        for number in range(1, 41)
    ]
    users = [
        {"user_number": number, "user_key": f"user {number:02}", "has_consent": number % 6 != 0}
        for number in range(1, 31)
    ]
    warehouse.fill("features.wall", {"as_of": datetime(2025, 6, 30)})
    warehouse.fill("features.item_stats", *items)
    warehouse.fill(
        "staging.stg_items", *({name: item[name] for name in ("item_id", "category")} for item in items)
    )
    warehouse.fill("features.user_attributes", *users)
    segments, owned, candidates, impressions = {}, set(), {}, []
    for user in users:
        number, key = user["user_number"], user["user_key"]
        segments[number] = f"taste-{number % 3}"
        warehouse.fill(
            "segments.segment_assignments",
            {
                "segmentation": "taste",
                "user_key": key,
                "segment_id": segments[number],
                "is_unassigned": False,
            },
        )
        for item in {*random.choice(40, 6, replace=False) + 1, *([6] if number % 4 == 0 else [])}:
            owned.add((number, int(item)))
            warehouse.fill("features.user_item_affinity", {"user_key": key, "item_id": f"item {item}"})
        for name in LISTS:
            rows = []
            for item in random.choice(40, random.choice([3, 12, 30]), replace=False) + 1:
                is_repeat = (number, int(item)) in owned
                if is_repeat and name == "discover":
                    continue
                score = round(float(random.integers(1, 15)) / 15, 6)
                source = "new_item" if item > 30 else "collaborative"
                rows.append((int(item), score, source, is_repeat))
            candidates[number, name] = rows
            warehouse.fill(
                "recommendations.ranked_candidates",
                *(
                    {
                        "user_number": number,
                        "item_number": item,
                        "list": name,
                        "score": score,
                        "source": source,
                        "is_repeat": is_repeat,
                    }
                    for item, score, source, is_repeat in rows
                ),
            )
        for item in random.choice(40, 5) + 1:
            shown_at = datetime(2025, 6, int(random.integers(1, 30)))
            impressions.append((number, int(item), (datetime(2025, 6, 30) - shown_at).days))
            warehouse.fill(
                "staging.stg_impressions",
                {
                    "impression_id": f"{len(impressions)}",
                    "user_key": key,
                    "item_id": f"item {item}",
                    "shown_at": shown_at,
                },
            )
    return {
        "items": {item["item_number"]: item for item in items},
        "users": {user["user_number"]: user for user in users},
        "segments": segments,
        "owned": owned,
        "candidates": candidates,
        "impressions": impressions,
    }


RULES = [
    rule(item_id="item 3"),
    rule(item_id="item 4", segment_id="taste-1"),
    rule(item_id=None, category="category 4", list="discover"),
    rule(rule="boost", item_id="item 5", value="3"),
    rule(rule="boost", item_id=None, category="category 1", value="0.5", segment_id="taste-2"),
    rule(rule="pin", item_id="item 6", value="2"),
    rule(rule="pin", item_id="item 8", value="8", list="for_you", segment_id="taste-0"),
    rule(rule="pin", item_id="item 7", value="1"),  # not active, so that it is not shown
    rule(rule="pin", item_id="item 3", value="3"),  # banned
    rule(rule="cap", item_id=None, category="category 2", value="1"),  # less than its pins
    rule(rule="cap", item_id=None, category="category 0", value="1", segment_id="taste-1"),
    rule(item_id="item 9", ends_on="2025-06-01"),
]


def plain_list(world: dict, settings: dict, rules: list[dict], user: int, name: str) -> list[tuple]:
    """Shape one list, one greedy step after the other. Returns (item, source) in the order of the ranks."""
    items, has_consent = world["items"], world["users"][user]["has_consent"]

    def holds(row: dict, kind: str) -> bool:
        return (
            row["rule"] == kind
            and row.get("list") in (None, name)
            and (not row.get("segment_id") or (has_consent and row["segment_id"] == world["segments"][user]))
            and row.get("ends_on", "9") > "2025-06-30"
        )

    def touches(row: dict, item: int) -> bool:
        return row["item_id"] == f"item {item}" or (
            row.get("category") is not None and row["category"] == items[item]["category"]
        )

    def factors(item: int) -> float:
        found = math.prod(float(row["value"]) for row in rules if holds(row, "boost") and touches(row, item))
        if settings.get("rotation_half_life_days") and has_consent:
            shown = sum(
                0.5 ** (days / settings["rotation_half_life_days"])
                for who, what, days in world["impressions"]
                if (who, what) == (user, item)
            )
            found *= settings["rotation_factor"] ** shown
        return found

    def may(item: int) -> bool:
        return items[item]["is_active"] and not any(holds(row, "ban") and touches(row, item) for row in rules)

    pins = {
        int(row["value"]): int(row["item_id"].split()[1])
        for row in rules
        if holds(row, "pin") and may(int(row["item_id"].split()[1]))
    }
    pins = {
        place: item for place, item in pins.items() if name == "for_you" or (user, item) not in world["owned"]
    }
    pool = {
        item: (round(score * factors(item), 9), source)
        for item, score, source, _ in world["candidates"][user, name]
        if may(item) and item not in pins.values()
    }
    total = len(pool) + len(pins)
    taken = Counter(items[item]["category"] for item in pins.values())
    caps = {}
    for category in {item["category"] for item in items.values()} - {None}:
        own = [float(row["value"]) for row in rules if holds(row, "cap") and row["category"] == category]
        caps[category] = min([*own, settings.get("max_per_category", math.inf)])

    def discounted(item: int) -> float:
        category = items[item]["category"]
        above = taken[category] if category else 0
        return round(pool[item][0] * (1 - settings.get("diversity", 0)) ** above, 12)

    merit, scores = [], {}
    while pool:
        best = max(pool, key=lambda item: (discounted(item), -item))
        category, score = items[best]["category"], discounted(best)
        _, source = pool.pop(best)
        if category and taken[category] >= caps[category]:
            total -= 1
            continue
        scores[best] = score
        taken[category] += 1
        merit.append((best, source))
    length = min(TOP_N, total)

    slots = settings.get("exploration_slots", 0)
    late = [
        row
        for place, row in enumerate(merit, len(pins) + 1)
        if row[1] == "new_item" and place > length - slots
    ]
    explored = late[:slots]
    others = [row for row in merit if row not in explored]
    cut = length - len(pins) - len(explored)
    chosen, outside = others[:cut], others[cut:]

    events = sorted(items.values(), key=lambda item: (-item["positive_events"], item["item_number"]))
    all_events, before, tail = sum(item["positive_events"] for item in events), 0, set()
    for item in events:
        if before >= 0.8 * all_events:
            tail.add(item["item_number"])
        before += item["positive_events"]
    needed = math.ceil(round(settings.get("tail_share", 0) * length, 6))
    fixed = [*pins.values(), *(item for item, _ in explored)]
    while True:
        stands = sum(item in tail for item in [*fixed, *(item for item, _ in chosen)])
        common = [row for row in chosen if row[0] not in tail]
        rare = [row for row in outside if row[0] in tail]
        if stands >= needed or not common or not rare:
            break
        chosen.remove(common[-1])
        chosen.append(rare[0])
        outside.remove(rare[0])
    chosen.sort(key=lambda row: (-scores[row[0]], row[0]))
    final = chosen + explored
    for place, item in sorted(pins.items()):
        final.insert(place - 1, (item, "rule"))
    return final


@pytest.mark.parametrize("with_the_rules", [False, True], ids=["no_rules", "rules"])
@pytest.mark.parametrize("name", SETTINGS)
def test_lists_are_those_of_a_greedy_loop(compiled, name, with_the_rules):
    warehouse = Warehouse(compiled(SETTINGS[name]))
    world = crowd(warehouse, seed=len(name))
    rules = RULES if with_the_rules else []
    warehouse.fill("seeds.recommendation_rules", *rules)
    warehouse.run(*MODELS[:6])
    found: dict[tuple, list] = {}
    for user, listed, item, source in warehouse.rows(
        """
        select user_number, list, item_number, source
        from recommendations.user_lists
        join features.user_attributes using (user_key) join features.item_stats using (item_id)
        order by user_key, list, rank
        """
    ):
        found.setdefault((user, listed), []).append((item, source))
    expected = {
        (user, listed): plain_list(world, SETTINGS[name], rules, user, listed)
        for user in world["users"]
        for listed in LISTS
    }
    assert found == {key: rows for key, rows in expected.items() if rows}
    ranks = warehouse.rows(
        """
        select count(*) = max(rank) and min(rank) = 1 from recommendations.user_lists
        group by user_key, list
        """
    )
    assert set(ranks) == {(True,)}
    if with_the_rules:
        assert any(source == "rule" for rows in found.values() for _, source in rows)


# --- what was shown ----------------------------------------------------------------------------------------


def impression(number: int, day: int, item: int = 1, **more: object) -> dict:
    row = {"impression_id": str(number), "user_key": "ada", "item_id": f"item {item}"}
    return row | {"shown_at": datetime(2025, 6, day, 12), "position": 3} | more


def act(day: int, item: int = 1, preference: float = 1.0) -> dict:
    row = {"user_key": "ada", "item_id": f"item {item}", "event_type": "purchase", "preference": preference}
    return row | {"event_at": datetime(2025, 6, day, 12)}


def shown(warehouse: Warehouse) -> list[tuple]:
    warehouse.run("shown_items", "shown_log")
    return warehouse.rows(
        """
        select impression_id, list, rank, is_acted_on, response_events, days_to_action, is_settled
        from marts.shown_log order by impression_id
        """
    )


def test_impressions_are_joined_with_what_came_after_them(warehouse):
    warehouse.fill("features.wall", {"as_of": datetime(2025, 6, 30, 12)})
    warehouse.fill(
        "staging.stg_impressions",
        impression(1, 1, strategy="discover", placement="for_you"),  # acted on too late
        impression(2, 10, placement="for_you", strategy="editorial"),  # acted on at once and on the sixth day
        impression(3, 17),  # not since
        impression(4, 26, item=2),  # only disliked, and the week is not over
        impression(5, 30),  # at the wall
        impression(6, 20, item_id=None),  # a campaign
        impression(2, 28),  # reported twice
    )
    warehouse.fill("features.events", act(10), act(16), act(27, item=2, preference=-1.0))
    assert shown(warehouse) == [
        ("1", "discover", 3, False, 0, 9.0, True),
        ("2", "for_you", 3, True, 2, 0.0, True),
        ("3", None, 3, False, 0, None, True),
        ("4", None, 3, False, 0, None, False),
    ]


def test_without_impressions_the_log_is_typed_and_empty(warehouse):
    assert shown(warehouse) == []
    types = dict(row[:2] for row in warehouse.rows("describe marts.shown_log"))
    assert (types["rank"], types["shown_at"], types["is_acted_on"]) == ("INTEGER", "TIMESTAMP", "BOOLEAN")


# --- audiences ---------------------------------------------------------------------------------------------


def test_an_audience_holds_the_best_users_who_may_be_told(warehouse):
    warehouse.fill("features.wall", {"as_of": datetime(2025, 6, 30)})
    warehouse.fill("staging.stg_items", *({"item_id": f"item {number}"} for number in (1, 2, 3)))
    warehouse.fill(
        "features.item_stats",
        *(
            {"item_number": number, "item_id": f"item {number}", "title": "A", "is_active": number < 3}
            for number in (1, 2, 3)
        ),
    )
    warehouse.fill(
        "features.user_attributes",
        *(
            {"user_number": number, "user_key": f"user {number}", "has_consent": number != 2}
            for number in range(8)
        ),
    )
    warehouse.fill(
        "recommendations.ranked_candidates",
        *(
            {"user_number": user, "item_number": item, "list": name, "score": 1 - user // 2 / 10}
            for user in range(8)
            for name in LISTS
            for item in (1, 2, 3)
        ),
    )
    warehouse.fill(
        "segments.segment_assignments",
        {"segmentation": "taste", "user_key": "user 0", "segment_id": "taste-0", "is_unassigned": False},
    )
    warehouse.fill(
        "seeds.recommendation_rules", rule(segment_id="taste-0"), rule(item_id="item 2", list="for_you")
    )
    warehouse.fill(
        "segments.segment_item_stats",
        *(
            {
                "segmentation": "taste",
                "segment_id": f"taste-{number}",
                "item_id": "item 1",
                "users": users,
                "segment_users": 100,
                "share": users / 100,
                "lift": lift,
            }
            for number, (users, lift) in enumerate([(5, 1.5), (4, 9.0), (50, 3.0), (60, 0.9)])
        ),
    )
    warehouse.fill(
        "segments.segment_labels",
        *({"segment_id": f"taste-{number}", "name": str(number)} for number in range(4)),
    )
    warehouse.run("checked_rules", "item_rules", "item_audiences")
    found = warehouse.rows(
        """
        select item_id, list, coalesce(user_key, segment_id) from marts.item_audiences
        order by item_id, kind, list, rank
        """
    )
    assert found == [
        *(("item 1", "any", segment) for segment in ("taste-2", "taste-0")),
        *(("item 1", name, f"user {user}") for name in ("discover", "for_you") for user in (1, 3, 4)),
        *(("item 2", "discover", f"user {user}") for user in (0, 1, 3)),
    ]


# --- onboarding --------------------------------------------------------------------------------------------

SHARES = {  # of the users of taste-0, taste-1 and taste-2 that have the item
    "rope": (0.9, 0.1, 0.1),
    "lamp": (0.1, 0.8, 0.1),
    "soup": (0.2, 0.2, 0.9),
    "stew": (0.2, 0.25, 0.85),  # of the category of the soup
    "bread": (0.6, 0.6, 0.6),  # says nothing
    "pearl": (0.15, 0.0, 0.0),  # too rare
    "fog": (0.0, 0.0, 0.9),  # not active
}


def planted(warehouse: Warehouse) -> None:
    """Three segments of 100, 200 and 700 users with tastes of their own."""
    sizes = (100, 200, 700)
    warehouse.fill(
        "features.user_attributes", *({"user_number": n, "positive_events": 1} for n in range(1000))
    )
    for number, size in enumerate(sizes):
        segment = {"segmentation": "taste", "segment_id": f"taste-{number}"}
        warehouse.fill("segments.segment_sizes", segment | {"users": size, "is_unassigned": False})
        warehouse.fill("segments.segment_labels", segment | {"name": f"Segment {number}"})
        warehouse.fill(
            "segments.segment_item_stats",
            *(
                segment | {"item_id": item, "users": round(size * shares[number]), "segment_users": size}
                for item, shares in SHARES.items()
                if shares[number]
            ),
        )
    warehouse.fill(
        "features.item_stats",
        *(
            {
                "item_id": item,
                "title": item,
                "category": "Kitchen" if item in ("soup", "stew") else None,
                "is_active": item != "fog",
                "users": sum(round(size * share) for size, share in zip(sizes, shares, strict=True)),
            }
            for item, shares in SHARES.items()
        ),
    )


def test_questions_are_the_telling_items_of_different_categories(warehouse):
    planted(warehouse)
    warehouse.run("onboarding_questions")
    found = warehouse.rows(
        """
        select distinct rank, item_id, yes_segment_id, no_segment_id
        from marts.onboarding_questions order by rank
        """
    )
    assert found == [
        (1, "soup", "taste-2", "taste-1"),
        (2, "lamp", "taste-1", "taste-2"),
        (3, "rope", "taste-0", "taste-2"),
        (4, "stew", "taste-2", "taste-1"),
    ]
    sums = warehouse.rows(
        """
        select sum(probability_if_yes), sum(probability_if_no), sum(segment_share)
        from marts.onboarding_questions group by rank
        """
    )
    assert np.allclose(sums, 1, atol=1e-5)


def test_information_gain_is_the_mutual_information(warehouse):
    planted(warehouse)
    warehouse.run("onboarding_questions")
    ((gain,),) = warehouse.rows(
        "select distinct information_gain from marts.onboarding_questions where item_id = 'soup'"
    )

    def entropy(*parts: float) -> float:
        return -sum(part * math.log2(part) for part in parts)

    yes = np.array([0.02, 0.04, 0.63])
    no = np.array([0.08, 0.16, 0.07])
    assert gain == pytest.approx(entropy(0.1, 0.2, 0.7) + entropy(0.69, 0.31) - entropy(*yes, *no), abs=1e-6)


@pytest.mark.parametrize(
    ("answers", "segment"),
    [
        ({}, 2),
        ({"rope": True, "lamp": False, "soup": False}, 0),
        ({"rope": False, "lamp": True, "soup": False}, 1),
        ({"rope": False, "lamp": False, "soup": True}, 2),
    ],
)
def test_answers_of_a_planted_segment_lead_an_empty_user_to_it(warehouse, answers, segment):
    planted(warehouse)
    warehouse.run("onboarding_questions")
    warehouse.connection.execute("create table answers (item_id text, is_yes boolean)").fetchall()
    warehouse.fill("answers", *({"item_id": item, "is_yes": answer} for item, answer in answers.items()))
    ((found,),) = warehouse.rows(
        """
        select segment_id
        from marts.onboarding_questions left join answers using (item_id)
        group by segment_id
        order by
            max(ln(segment_share))
            + sum(case when is_yes then ln(yes_share) when not is_yes then ln(1 - yes_share) else 0 end) desc
        limit 1
        """
    )
    assert found == f"taste-{segment}"


def test_no_cell_of_few_users_shows(warehouse):
    planted(warehouse)
    warehouse.connection.execute(
        "update segments.segment_item_stats set users = 3 where item_id = 'soup' and segment_id = 'taste-0'"
    ).fetchall()
    warehouse.connection.execute(
        "update segments.segment_item_stats set users = 698 where item_id = 'soup' and segment_id = 'taste-2'"
    ).fetchall()
    warehouse.run("onboarding_questions")
    found = dict(
        warehouse.rows("select segment_id, yes_share from marts.onboarding_questions where item_id = 'soup'")
    )
    assert found == {"taste-0": 0.025, "taste-1": 0.2, "taste-2": round(697.5 / 700, 6)}
