import io
import json
import os

import duckdb
import pytest
import yaml
from conftest import PROJECT

from manyfaces import backtest as module
from manyfaces.backtest import backtest
from manyfaces.errors import UserError

STRATEGIES = {"blend": (0.3, 0.2), "popular": (0.1, None)}


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """Record every build; they write a log from 2025-01-01 to 2025-03-01 and results of made-up lists."""
    recorded = []

    def build(arguments, out):
        database = os.environ["MANYFACES_DATABASE"]
        recorded.append((os.path.basename(database), list(arguments)))
        with duckdb.connect(database) as connection:
            if "+wall" in arguments:
                write_log(connection)
            elif "backtest_quality+" not in arguments:
                write_results(connection, variables(arguments)["as_of"])
        return "--fail" not in arguments or len(recorded) < 3

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setenv("MANYFACES_DATABASE", "of the user.duckdb")
    monkeypatch.chdir(PROJECT)
    return recorded


def write_log(
    connection, times=("2025-01-01", "2025-02-10", "2025-02-18", "2025-02-28 23:59:59"), wall="2025-03-01"
):
    connection.execute("create schema staging; create schema features").fetchall()
    connection.execute(
        f"create table staging.stg_events as select unnest({list(times)}::timestamp[]) as event_at"
    ).fetchall()
    connection.execute(f"create table features.wall as select timestamp '{wall}' as as_of").fetchall()


def write_results(connection, as_of):
    quality = ", ".join(
        f"('{strategy}', '{name}', {ndcg}, {over or 'null'})"
        for strategy, (ndcg, over) in STRATEGIES.items()
        for name in ("for_you", "discover")
    )
    connection.execute("create schema if not exists evaluation").fetchall()
    connection.execute(
        f"""
        create or replace table evaluation.quality_at_wall as
        select
            timestamp '{as_of}' as as_of, timestamp '{as_of}' + interval 28 day as until, strategy, list,
            'supported' as scope, 20 as k, 'all' as group_kind, 'all' as group_value, 1234 as users,
            ndcg, ndcg - 0.01 as ndcg_low, ndcg + 0.01 as ndcg_high, over as ndcg_over_popular,
            over - 0.01 as ndcg_over_popular_low, over + 0.01 as ndcg_over_popular_high,
            0.5 as recall, 0.6 as hit_rate, 0.7 as coverage
        from (values {quality}) as made_up(strategy, list, ndcg, over)
        """
    ).fetchall()
    connection.execute(
        """
        create or replace table evaluation.uplift_at_wall as
        select
            'for_you' as list, 'taste' as segmentation, 0.3 as ndcg, 0.1 as ndcg_over_none,
            0.05 as ndcg_over_none_low, 0.15 as ndcg_over_none_high, 'gain' as verdict
        """
    ).fetchall()


def variables(arguments):
    return json.loads(arguments[arguments.index("--vars") + 1])


def run(tmp_path, *arguments, given="{}", **options):
    out = io.StringIO()
    given = yaml.safe_load(given) | {"backtest_dir": str(tmp_path / "results")}
    done = backtest(
        [*arguments, "--vars", json.dumps(given)], tmp_path / "warehouse.duckdb", out=out, **options
    )
    return done, out.getvalue()


def walls(builds):
    return [variables(arguments)["as_of"] for _, arguments in builds[1:] if "--exclude" in arguments]


def kept(tmp_path, table="recommendation_quality"):
    return sorted(path.name for path in (tmp_path / "results" / table).iterdir())


def test_folds_come_in_order_in_a_database_of_their_own(builds, tmp_path):
    succeeded, _ = run(tmp_path, "--threads", "1", folds=2, days=14)
    assert succeeded
    assert [database for database, _ in builds] == ["backtest.duckdb"] * 4
    # Segments first, of the wall that the ranker of the first fold learns from; no judgement there.
    assert variables(builds[1][1])["as_of"] == "2025-01-04 00:00:00"
    assert "backtest" not in variables(builds[1][1])
    assert walls(builds) == ["2025-02-01 00:00:00", "2025-02-15 00:00:00"]
    assert all(arguments[:2] == ["--threads", "1"] for _, arguments in builds)
    assert os.environ["MANYFACES_DATABASE"] == "of the user.duckdb"
    assert kept(tmp_path) == ["2025-02-01_000000.parquet", "2025-02-15_000000.parquet"]
    assert kept(tmp_path, "segmentation_uplift") == kept(tmp_path)


def test_lists_are_long_enough_for_the_longest_cut_and_settings_stay(builds, tmp_path):
    run(tmp_path, given="{top_n: 7, candidates_per_source: 900, seed: 3}")
    settings = variables(builds[2][1])
    assert {name: settings[name] for name in ("top_n", "candidates_per_source", "seed", "backtest")} == {
        "top_n": 120,
        "candidates_per_source": 900,
        "seed": 3,
        "backtest": True,
    }
    assert settings["backtest_days"] == 28


def test_the_settings_say_how_many_folds_and_days(builds, tmp_path):
    run(tmp_path, given="{backtest_folds: 3, backtest_days: 7}")
    assert [wall[:10] for wall in walls(builds)] == ["2025-02-08", "2025-02-15", "2025-02-22"]


def test_a_wall_is_judged_by_everything_after_it(builds, tmp_path):
    run(tmp_path, wall="2025-02-10 12:00:00")
    settings = variables(builds[2][1])
    # 18.5 days to the last event, in whole days.
    assert (settings["as_of"], settings["backtest_days"]) == ("2025-02-10 12:00:00", 19)
    # A wall that is asked for comes before folds of the settings; another zone is turned into UTC.
    run(tmp_path, wall="2025-02-10T14:00:00+02:00", days=20, given="{backtest_folds: 3}")
    settings = variables(builds[5][1])
    assert (settings["as_of"], settings["backtest_days"]) == ("2025-02-10 12:00:00", 20)


def test_an_earlier_run_leaves_nothing_behind_but_its_results(builds, tmp_path):
    run(tmp_path, days=14)
    with duckdb.connect(tmp_path / "backtest.duckdb") as connection:
        connection.execute("create table of_the_first_run as select 1").fetchall()
    run(tmp_path, days=7)
    with duckdb.connect(tmp_path / "backtest.duckdb", read_only=True) as connection:
        tables = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
    assert "stg_events" in tables
    assert "of_the_first_run" not in tables
    assert len(kept(tmp_path)) == 2


def test_results_go_into_the_marts_of_a_warehouse_that_was_built(builds, tmp_path):
    _, said = run(tmp_path)
    assert "show the results after the next build" in said
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        write_log(connection)
    run(tmp_path, given="{top_n: 7}")
    database, arguments = builds[-1]
    assert database == "warehouse.duckdb"
    assert "backtest_quality+" in arguments
    # It is the production build's: nothing of the fold is in it.
    assert variables(arguments) == {"top_n": 7, "backtest_dir": str(tmp_path / "results")}


def test_the_report_shows_strategies_best_first_and_what_segments_add(builds, tmp_path):
    _, said = run(tmp_path)
    lines = [line.split() for line in said.splitlines()]
    table = [line for line in lines if line[:1] in (["blend"], ["popular"])]
    assert table[0] == [
        *["blend", "0.3000", "0.2900", "to", "0.3100", "+0.2000", "+0.1900", "to", "+0.2100"],
        *["0.5000", "0.6000", "0.7000"],
    ]
    assert table[1][:2] == ["popular", "0.1000"]
    assert ["taste", "0.3000", "+0.1000", "+0.0500", "to", "+0.1500", "gain"] in lines
    assert "1,234 users" in said


def test_the_first_fold_that_fails_is_the_last(builds, tmp_path):
    succeeded, said = run(tmp_path, "--fail", folds=2, days=14)
    assert not succeeded
    assert len(builds) == 3
    assert said.splitlines()[-1] == "wall 1 of 2 failed: 2025-02-01 00:00:00"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["--select", "marts"], {}, "cannot go with --select"),
        ([], {"folds": 0}, "folds of a backtest must be a whole number of at least 1, not 0"),
        ([], {"days": -1}, "days of a backtest must be a whole number of at least 1, not -1"),
        ([], {"given": "{backtest_days: many}"}, "not many"),
        ([], {"folds": 2, "wall": "2025-02-01"}, "cannot go with 2 folds"),
        ([], {"folds": 2, "given": "{peer_lists: lists.parquet}"}, "belong to one wall"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(builds, tmp_path, arguments, options, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, *arguments, **options)
    assert builds == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wall": "2025-01-01"}, "a wall at 2025-01-01 00:00:00 is not after the first event"),
        ({"wall": "2025-03-01"}, "a wall at 2025-03-01 00:00:00 is after the last event"),
        ({"wall": "tomorrow"}, "is 'tomorrow', which is no date"),
        ({"folds": 3}, "a wall at 2024-12-07 00:00:00 is not after the first event"),
        ({"wall": "2025-02-12", "days": 3}, "the fold at 2025-02-12 00:00:00 has no test events"),
    ],
)
def test_a_wall_without_a_past_or_a_future_is_one_plain_sentence(builds, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, **options)
    assert len(builds) == 1


def test_a_log_without_events_is_one_plain_sentence(builds, tmp_path, monkeypatch):
    def build(arguments, out):
        with duckdb.connect(tmp_path / "backtest.duckdb") as connection:
            write_log(connection, times=())
            connection.execute("delete from features.wall").fetchall()
        return True

    monkeypatch.setattr(module, "build", build)
    with pytest.raises(UserError, match="there is no event"):
        run(tmp_path)


def test_the_warehouse_is_never_written_over(builds, tmp_path):
    with pytest.raises(UserError, match=r"cannot be backtest\.duckdb"):
        backtest([], tmp_path / "backtest.duckdb")
    assert builds == []
