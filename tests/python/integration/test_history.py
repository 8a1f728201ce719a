"""Walls built in order, again, and out of order: what a wall said stays, and none sees a later one."""

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from integration.conftest import SCENARIOS
from integration.data import write_csv
from integration.harness import DATED, FAST, KEY, Workspace, differences
from manyfaces.pseudonyms import user_key
from manyfaces.simulate import Parameters, simulate

WALLS = ["2025-05-06", "2025-06-03", "2025-07-01"]
# Lists have no history, and building them takes most of the time.
WITHOUT_LISTS = ["--exclude", "path:models/recommendations+", "path:python_models/recommendations+"]
TABLES = [*WITHOUT_LISTS, "resource_type:test", "resource_type:unit_test"]
SETTINGS = FAST | {
    "prediction_days": 28,
    "vae_max_epochs": 2,
    "segmentations": [
        {"name": "taste", "encoder": "factors", "algorithm": "kmeans", "candidates": [4, 6]},
        {"name": "rfm", "algorithm": "rfm"},
        {"name": "demographic", "algorithm": "demographic", "columns": ["age_band"]},
    ],
}


@dataclass(frozen=True)
class History:
    """Databases as the builds of one warehouse left them, and the user who was erased before the last."""

    walls: list[Path]  # after each wall, in order
    again: Path  # the last wall once more
    earlier: Path  # the second wall once more
    erased: Path  # the last wall with an erasure, and --full-refresh
    erased_key: str
    pruned: Path  # with history_dates: 1


def build_history(folder: Path) -> History:
    workspace = Workspace(folder)
    simulate(workspace.files, Parameters(events=6_000, users=150, items=80, drift_share=0.3))
    truth = pq.read_table(workspace.files / "truth" / "users.parquet").to_pylist()
    labels = [{"user_id": row["user_id"], "label": f"planted {row['segment']}"} for row in truth[:60]]
    write_csv(workspace.files / "user_labels.csv", [*labels, {"user_id": "nobody", "label": "planted 1"}])

    def build(name: str, wall: str, *options: str) -> Path:
        workspace.build(("build", *options), **SETTINGS, as_of=wall)
        return workspace.keep_database(name)

    walls = [build(f"wall_{wall}", wall, *TABLES) for wall in WALLS[:2]]
    walls.append(build(f"wall_{WALLS[2]}", WALLS[2], *WITHOUT_LISTS, "resource_type:unit_test"))
    again = build("again", WALLS[2], *TABLES)
    earlier = build("earlier", WALLS[1], *TABLES)
    erased_id = next(row["user_id"] for row in truth if row["clean_events"] > 20)
    with (workspace.files / "erasures.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["user_id"], [erased_id]])
    erased = build("erased", WALLS[2], *TABLES, "--full-refresh")
    dated = ["segment_dates", "segment_size_dates", "segment_feature_dates", "segment_flows"]
    workspace.build(("run", "--select", *dated), **SETTINGS, as_of=WALLS[2], history_dates=1)
    pruned = workspace.keep_database("pruned")
    return History(walls, again, earlier, erased, user_key(erased_id, KEY), pruned)


SCENARIOS["history"] = build_history


@pytest.fixture(scope="session")
def history(running):
    return running["history"].result()


def rows(database, query, *parameters):
    with duckdb.connect() as connection:
        # Views look for their tables under the name of the file they were made in.
        connection.execute(f"attach '{database}' as warehouse (read_only)").fetchall()
        connection.execute("use warehouse").fetchall()
        return connection.execute(query, list(parameters)).fetchall()


def walls_of(database, table):
    return [str(day) for (day,) in rows(database, f"select distinct as_of::date from {table} order by 1")]


def dated_rows(database, table, where):
    # segment_flows has two dates; a pair belongs to its later wall.
    column = "to_as_of" if table.endswith("flows") else "as_of"
    return sorted(rows(database, f"select * from {table} where {column}::date::text {where}"), key=str)


def test_every_wall_leaves_its_rows(history):
    assert walls_of(history.walls[2], "segments.segment_dates") == WALLS
    assert walls_of(history.walls[2], "marts.learning_decisions") == WALLS
    assert walls_of(history.walls[2], "marts.feature_drift") == WALLS[1:]
    assert len(rows(history.walls[2], "from marts.segment_history")) == sum(
        len(rows(database, "from segments.segment_assignments")) for database in history.walls
    )


@pytest.mark.parametrize("table", DATED)
def test_later_builds_leave_the_rows_of_earlier_walls_alone(history, table):
    before = dated_rows(history.walls[1], table, f"<= '{WALLS[1]}'")
    assert before
    assert dated_rows(history.walls[2], table, f"<= '{WALLS[1]}'") == before
    assert dated_rows(history.earlier, table, f"<= '{WALLS[1]}'") == before


@pytest.mark.parametrize("table", DATED)
def test_an_earlier_wall_leaves_the_rows_of_later_ones_alone(history, table):
    later = dated_rows(history.walls[2], table, f"= '{WALLS[2]}'")
    assert later
    assert dated_rows(history.earlier, table, f"= '{WALLS[2]}'") == later


def test_a_wall_that_is_built_again_changes_nothing(history):
    assert differences(history.walls[2], history.again, ["features", "segments", "marts"]) == []


def test_an_earlier_wall_sees_nothing_of_later_ones(history):
    assert differences(history.walls[1], history.earlier, ["features", "segments", "marts"], DATED) == []
    assert walls_of(history.earlier, "marts.segment_history") == WALLS[:2]
    assert walls_of(history.earlier, "segments.segment_dates") == WALLS


def test_an_erased_user_is_in_no_wall_and_a_full_refresh_keeps_all_walls(history):
    before = rows(
        history.earlier,
        "select distinct as_of from segments.segment_dates where user_key = ?",
        history.erased_key,
    )
    assert len(before) == 3
    assert rows(history.erased, "from segments.segment_dates where user_key = ?", history.erased_key) == []
    assert walls_of(history.erased, "segments.segment_dates") == WALLS
    assert walls_of(history.erased, "features.learning_plan") == WALLS
    count = (
        "select as_of, count(*) from segments.segment_dates where segmentation = 'rfm' group by 1 order by 1"
    )
    assert [number for _, number in rows(history.erased, count)] == [
        number - 1 for _, number in rows(history.earlier, count)
    ]


def test_only_the_newest_walls_and_those_whose_models_they_use_are_kept(history):
    in_use = rows(
        history.pruned,
        "select fitted_as_of::date::text from features.learning_plan where as_of = ?",
        WALLS[2],
    )
    assert in_use == [(WALLS[0],)]
    for table in ("segments.segment_dates", "segments.segment_feature_dates"):
        assert walls_of(history.pruned, table) == [WALLS[0], WALLS[2]]
    pairs = "select distinct from_as_of::date::text, to_as_of::date::text from segments.segment_flows"
    assert rows(history.pruned, pairs) == [(WALLS[0], WALLS[2])]


@pytest.mark.parametrize("name", ["last", "earlier", "erased"])
def test_migrations_add_up_to_the_history(history, name):
    database = history.walls[2] if name == "last" else getattr(history, name)
    wrong = rows(
        database,
        """
        with sizes as (
            select segmentation, as_of, segment_id, count(*) as users from segments.segment_dates group by all
        ),
        arrived as (
            select segmentation, to_as_of as as_of, to_segment_id as segment_id, sum(users) as users
            from segments.segment_flows where to_segment_id <> '(gone)' group by all
        ),
        left_from as (
            select segmentation, from_as_of as as_of, from_segment_id as segment_id, sum(users) as users
            from segments.segment_flows where from_segment_id <> '(new)' group by all
        )
        (from sizes where as_of::date::text <> '2025-05-06' except from arrived)
        union all (from arrived except from sizes)
        union all (from sizes where as_of::date::text <> '2025-07-01' except from left_from)
        union all (from left_from except from sizes)
        """,
    )
    assert wrong == []
    assert len(rows(database, "select distinct to_as_of from segments.segment_flows")) == 2
    assert rows(database, "from segments.segment_flows where from_segment_id = '(new)'")


def test_a_stay_is_what_the_history_says(history):
    stays = rows(
        history.walls[2],
        "select segmentation, user_key, since, previous_segment_id from marts.user_segments order by all",
    )
    timelines = {}
    for segmentation, user, as_of, segment in rows(
        history.walls[2],
        "select segmentation, user_key, as_of, segment_id from marts.segment_history order by as_of",
    ):
        timelines.setdefault((segmentation, user), []).append((as_of, segment))
    expected = []
    for (segmentation, user), timeline in timelines.items():
        now = timeline[-1][1]
        elsewhere = [place for place, (_, segment) in enumerate(timeline) if segment != now]
        last = elsewhere[-1] if elsewhere else -1
        previous = timeline[last][1] if elsewhere else None
        expected.append((segmentation, user, timeline[last + 1][0], previous))
    assert sorted(stays, key=str) == sorted(expected, key=str)
    assert {previous is None for *_, previous in stays} == {True, False}


def stability_index(reference, values):
    edges = np.unique(np.quantile(reference, np.arange(1, 10) / 10).round(6))
    shares = []
    for sample in (reference, values):
        users = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) + 0.5
        shares.append(users / users.sum())
    before, now = shares
    return ((now - before) * np.log(now / before)).sum()


def test_drift_of_features_is_that_of_numpy(history):
    drift = rows(
        history.walls[2],
        "select feature, psi, strftime(reference_as_of, '%Y-%m-%d') from marts.feature_drift "
        "where as_of = (select max(as_of) from marts.feature_drift)",
    )
    assert {"events_28_days", "basket_amount", "price_level"} <= {feature for feature, *_ in drift}
    assert "tenure_days" not in {feature for feature, *_ in drift}
    for feature, psi, reference in drift:
        before, now = (
            np.array([value for (value,) in rows(database, f"select {feature} from features.user_features")])
            for database in (history.walls[WALLS.index(reference)], history.walls[2])
        )
        assert psi == pytest.approx(stability_index(before, now), abs=1e-5), feature


def explained(groups, outcomes):
    """Return eta squared and epsilon squared of (n, d) outcomes by n group names."""
    total = ((outcomes - outcomes.mean(axis=0)) ** 2).sum()
    within = sum(
        ((outcomes[groups == group] - outcomes[groups == group].mean(axis=0)) ** 2).sum()
        for group in np.unique(groups)
    )
    users, segments = len(groups), len(np.unique(groups))
    return 1 - within / total, 1 - within / total * (users - 1) / (users - segments)


def test_what_segments_predict_is_the_variance_that_numpy_finds_between_them(history):
    members = rows(
        history.walls[1],
        "select segmentation, user_key, segment_id from segments.segment_assignments order by user_key",
    )
    events = rows(
        history.walls[2],
        "select user_key, category, event_on, events.amount from features.events "
        "left join features.item_stats using (item_id) where event_at >= ?::timestamp",
        WALLS[1],
    )
    categories = sorted({category for _, category, _, _ in events if category})
    mixes, days, spend = {}, {}, {}
    for user, category, day, amount in events:
        if category:
            mixes.setdefault(user, np.zeros(len(categories)))[categories.index(category)] += 1
        days.setdefault(user, set()).add(day)
        spend[user] = spend.get(user, 0) + amount

    scores = rows(
        history.walls[2],
        "select segmentation, outcome, users, eta_squared, epsilon_squared, predicted_from::date::text "
        "from marts.segmentation_prediction",
    )
    assert {segmentation for segmentation, *_ in scores} == {"taste", "rfm", "demographic"}
    assert len(scores) == 12
    for segmentation, outcome, number, eta, epsilon, predicted_from in scores:
        assert predicted_from == WALLS[1]
        users, groups = zip(
            *[
                (user, segment)
                for name, user, segment in members
                if name == segmentation and (outcome != "category_mix" or user in mixes)
            ],
            strict=True,
        )
        outcomes = {
            "category_mix": lambda user: mixes[user] / mixes[user].sum(),
            "log_spend": lambda user: [np.sign(spend.get(user, 0)) * np.log1p(abs(spend.get(user, 0)))],
            "active_days": lambda user: [len(days.get(user, ()))],
            "is_active": lambda user: [float(user in days)],
        }[outcome]
        expected = explained(np.array(groups), np.array([outcomes(user) for user in users], dtype=float))
        assert number == len(users)
        assert (eta, epsilon) == pytest.approx(expected, abs=2e-5), (segmentation, outcome)


def test_labels_from_outside_are_compared_and_unknown_users_counted(history):
    pairs = rows(
        history.walls[2],
        "select label, segment_id from segments.segment_assignments "
        "join staging.stg_user_labels using (user_key) where segmentation = 'taste'",
    )
    users, unknown, index = rows(
        history.walls[2],
        "select users, unknown_users, adjusted_rand_index from marts.segmentation_external_quality "
        "where segmentation = 'taste'",
    )[0]
    assert users == len(pairs) > 40
    assert users + unknown == 61
    labels, segments = zip(*pairs, strict=True)
    assert index == pytest.approx(adjusted_rand_score(labels, segments), abs=1e-6)


def test_the_plan_compares_with_the_wall_whose_models_the_last_one_used(history):
    plans = rows(
        history.walls[2],
        "select as_of::date::text, decision, reference_as_of::date::text, fitted_as_of::date::text "
        "from marts.learning_decisions order by as_of",
    )
    assert plans[0] == (WALLS[0], "train", None, WALLS[0])
    for (_, _, _, last_fitted), (wall, decision, reference, fitted) in pairwise(plans):
        assert reference == last_fitted
        assert fitted == (wall if decision == "train" else reference)
