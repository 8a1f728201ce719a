"""Growing logs and walls in time: what was known when is what counts, however the tables were built."""

import duckdb

from integration.conftest import LATE_DAY, WALL
from integration.harness import DATED, SHOWING_DATED, SHOWING_DATED_COLUMNS, balance, differences, rejected

BEHIND_STAGING = ("features", "embeddings", "segments", "recommendations", "marts")
# About the raw rows, not about what was known at the wall.
RAW = (
    "marts.data_quality",
    "staging.stg_events_checked",
    "staging.stg_items",
    "staging.stg_users",
    "staging.stg_user_keys",
)


def count(source, where="true"):
    return duckdb.sql(f"select count(*) from '{source}' where {where}").fetchall()[0][0]


def rows_of_the_late_day(database):
    with duckdb.connect(database, read_only=True) as connection:
        query = "select sum(row_count) from staging.stg_events_checked where event_on = ?"
        return connection.execute(query, [LATE_DAY]).fetchall()[0][0]


def test_an_incremental_build_gives_what_a_full_build_gives(growing, whole):
    # What tells of the wall before is in one only, on purpose.
    assert differences(growing.grown, whole.database, ["marts"], SHOWING_DATED, SHOWING_DATED_COLUMNS) == []


def test_every_table_of_an_incremental_build_is_that_of_a_full_build(growing, whole):
    # All but the caps, which are frozen until a full refresh; nothing is high enough to be cut here.
    schemas = ["staging", "evaluation", *BEHIND_STAGING]
    without = ["staging.stg_value_caps", *DATED, *SHOWING_DATED]
    assert differences(growing.grown, whole.database, schemas, without, SHOWING_DATED_COLUMNS) == []
    assert balance(whole)["clean_events"] > 10_000
    assert balance(whole)["capped_outlier_value"] == 0


def test_a_late_row_within_the_window_is_taken_in(growing, whole):
    late = count(growing.workspace.files / "events" / "late.parquet")
    assert late > 0
    assert rows_of_the_late_day(growing.grown) == rows_of_the_late_day(growing.truncated) + late
    assert "too_late" not in rejected(whole)


def test_a_row_that_comes_later_is_rejected_as_too_late_and_accounted_for(growing, whole):
    added = count(growing.workspace.files / "events" / "too-late.parquet")
    before, after = balance(whole), balance(growing.late)
    assert after.pop("rejected_too_late") == added > 10
    assert after.pop("raw_events") == before.pop("raw_events") + added
    assert after == before


def test_a_wall_in_time_hides_what_comes_after_it(growing, walled):
    # The walled build had all days in its files, the other none after the wall: any difference is a leak.
    assert differences(growing.truncated, walled.database, ["staging", *BEHIND_STAGING], RAW) == []


def test_there_was_something_to_hide(walled, whole):
    hidden, wall = walled.rows(
        "select (select count(*) from staging.stg_events where event_at >= as_of), as_of::varchar "
        "from features.wall"
    )[0]
    assert hidden > 100
    assert wall == f"{WALL} 00:00:00"
    assert len(differences(walled.database, whole.database)) > 5
