"""A backtest on planted data, from the command to the marts."""

import json
import shutil
import subprocess
import sys
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from integration.conftest import SCENARIOS
from integration.harness import FAST, PROJECT, TABLES_ONLY, Build, Workspace
from manyfaces.simulate import Parameters, simulate

WALL = "2025-06-03 00:00:00"
SETTINGS = FAST | {
    "backtest_replicates": 200,
    "segmentations": [
        {"name": "taste", "encoder": "factors", "algorithm": "kmeans", "candidates": [4, 6]},
        {"name": "rfm", "algorithm": "rfm"},
        {"name": "demographic", "algorithm": "demographic", "columns": ["age_band"]},
    ],
}
UNIT_TESTS = ("test", "--select", "path:models/evaluation/backtest,test_type:unit")


@dataclass(frozen=True)
class Backtest:
    """What runs of the command left: databases, and the files that hold the results."""

    warehouse: Path
    first: Path
    again: Path
    other_future: Path
    results: list[Path]  # of the three runs
    said: str
    unit_tests: Build


def run(workspace: Workspace, name: str, **changes: object) -> tuple[Path, Path, str]:
    """Run the command; return its database and its results, kept under a name, and what it said."""
    done = subprocess.run(
        [
            *[sys.executable, "-m", "manyfaces.cli", "backtest", "--wall", WALL, "--days", "28"],
            *[*workspace.options(), "--vars", workspace.vars(**SETTINGS, **changes)],
        ],
        cwd=PROJECT,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # Views name the file that they are in, so it keeps its name.
    kept = workspace.folder / name
    kept.mkdir()
    database = shutil.copy(workspace.database.with_name("backtest.duckdb"), kept)
    results = shutil.copytree(workspace.folder / "backtest", kept / "results")
    return Path(database), Path(results), done.stdout


def build_backtest(folder: Path) -> Backtest:
    workspace = Workspace(folder)
    simulate(workspace.files, Parameters(events=12_000, users=300, items=160, segments=4))
    # As much of a warehouse as the marts of the results need.
    workspace.build((*TABLES_ONLY, "--select", "+wall", "source_weights"), **SETTINGS)
    first, first_results, said = run(workspace, "first")
    judged = copy(workspace)
    judged.database = first
    unit_tests = judged.build(UNIT_TESTS, **SETTINGS, backtest=True)
    peers = workspace.folder / "peers.parquet"
    # A peer that foresees what every user does first.
    duckdb.connect(first, read_only=True).execute(
        f"""
        copy (
            select
                'seer' as strategy, 'discover' as list, users.user_key, 1 as rank,
                min(items.item_id) as item_id
            from evaluation.relevant_items as items
            inner join evaluation.backtest_users as users using (user_number)
            where items.is_new and items.is_supported
            group by users.user_key
        ) to '{peers}' (format parquet)
        """
    ).fetchall()
    again, again_results, _ = run(workspace, "again", peer_lists=str(peers))
    warehouse = workspace.keep_database("warehouse_kept")
    events = workspace.files / "events.parquet"
    changed = workspace.folder / "changed.parquet"
    # Another future: every event after the wall is with another item, and half of them are gone.
    duckdb.connect().execute(
        f"""
        copy (
            select * replace (
                case when event_at >= '{WALL}' then first_value(item_id) over (order by event_at, item_id)
                else item_id end as item_id
            )
            from '{events}'
            where event_at < '{WALL}' or hash(user_id, item_id) % 2 = 0
        ) to '{changed}' (format parquet)
        """
    ).fetchall()
    shutil.move(changed, events)
    other, other_results, _ = run(workspace, "other_future")
    return Backtest(
        warehouse, first, again, other, [first_results, again_results, other_results], said, unit_tests
    )


SCENARIOS["backtest"] = build_backtest


@pytest.fixture(scope="session")
def backtest(running):
    return running["backtest"].result()


def rows(database, query):
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(query).fetchall()


def quality(folder, where="true"):
    query = f"from '{folder}/recommendation_quality/*.parquet' where {where} order by all"
    return duckdb.connect().execute(query).fetchall()


LISTS = "select * from evaluation.evaluated_lists where strategy <> 'seer' order by all"


def test_the_unit_tests_of_the_backtest_hold(backtest):
    assert "metrics_of_users_equal_those_of_ranx" in backtest.unit_tests.output
    assert "ERROR=0" in backtest.unit_tests.output


def test_a_backtest_twice_in_a_row_gives_the_same(backtest):
    first, again, _ = backtest.results
    assert quality(first) == quality(again, "strategy <> 'seer'")
    assert len(quality(first)) > 400
    assert rows(backtest.first, LISTS) == rows(backtest.again, LISTS)


def test_planted_favourites_beat_popularity(backtest):
    found = (
        duckdb.connect()
        .execute(
            f"""
        select list, ndcg, ndcg_over_popular_low
        from '{backtest.results[0]}/recommendation_quality/*.parquet'
        where strategy = 'blend' and scope = 'supported' and k = 20 and group_kind = 'all'
        """
        )
        .fetchall()
    )
    assert {name for name, *_ in found} == {"for_you", "discover"}
    assert all(low > 0 for _, _, low in found), found


def test_nothing_after_the_wall_enters_the_lists(backtest):
    for table in ("user_lists", "source_candidates", "candidate_features"):
        query = f"select * from recommendations.{table} order by all"
        assert rows(backtest.first, query) == rows(backtest.other_future, query)
    # But it is what they are judged by.
    assert quality(backtest.results[0]) != quality(backtest.results[2])
    newest = "select max(event_at) < max(as_of) from features.events cross join features.wall"
    assert rows(backtest.first, newest) == [(True,)]


def test_discover_holds_and_counts_only_what_is_new(backtest):
    repeats = """
        select count(*)
        from evaluation.evaluated_lists as lists
        inner join features.user_item_affinity as affinity using (user_key, item_id)
        where lists.list = 'discover'
    """
    assert rows(backtest.first, repeats) == [(0,)]


def test_a_peer_that_knows_the_future_has_a_hit_at_rank_one_for_everybody(backtest):
    found = (
        duckdb.connect()
        .execute(
            f"""
        select distinct mrr, hit_rate, users = users_with_list
        from '{backtest.results[1]}/recommendation_quality/*.parquet'
        where strategy = 'seer' and list = 'discover' and scope = 'supported'
        """
        )
        .fetchall()
    )
    assert found == [(1.0, 1.0, True)]


def test_weights_learned_anew_with_the_default_segmentation_rank_like_those_of_the_build(backtest):
    query = """
        select strategy, ndcg
        from evaluation.user_list_metrics
        where scope = 'supported' and k = 20 and list = 'for_you' and (family, strategy) in
            (('strategy', 'weights'), ('segmentation', 'taste'))
        order by user_number
    """
    found = rows(backtest.first, query)
    weights = [ndcg for strategy, ndcg in found if strategy == "weights"]
    taste = [ndcg for strategy, ndcg in found if strategy == "taste"]
    # The same but for users without a history, who get the fixed weights in the build.
    assert len(weights) == len(taste)
    assert sum(taste) / len(taste) == pytest.approx(sum(weights) / len(weights), abs=0.01)
    assert sum(weights) > 0


def test_the_marts_of_the_warehouse_show_the_newest_results(backtest):
    kept = rows(backtest.warehouse, "select count(*), bool_and(is_newest) from marts.recommendation_quality")
    assert kept == [(len(quality(backtest.results[1])), True)]
    uplift = rows(
        backtest.warehouse,
        "select segmentation, verdict from marts.segmentation_uplift where list = 'for_you' order by all",
    )
    assert [segmentation for segmentation, _ in uplift] == ["demographic", "none", "rfm", "taste"]
    assert {verdict for _, verdict in uplift} <= {"gain", "no gain", "worse", "baseline"}
    choice = rows(
        backtest.warehouse,
        "select list, segment_id, strategy, judged_as_of::varchar, runner_up from marts.strategy_choice "
        "order by list",
    )
    assert choice[0] == ("discover", "everyone", "blend", WALL, "seer")
    assert choice[1][:4] == ("for_you", "everyone", "blend", WALL)


def test_the_terminal_shows_every_strategy_and_segmentation(backtest):
    report = backtest.said[backtest.said.index("List for_you") :]
    first_words = {line.split()[0] for line in report.splitlines() if line.split()}
    assert {"blend", "buy_again", "collaborative", "content", "segment", "popular"} <= first_words
    assert {"taste", "rfm", "demographic", "none"} <= first_words


def test_no_key_of_a_user_is_in_the_results(backtest):
    keys = {key for (key,) in rows(backtest.first, "select user_key from evaluation.backtest_users")}
    values = json.dumps(quality(backtest.results[0]), default=str)
    assert keys
    assert not any(key in values for key in keys)
