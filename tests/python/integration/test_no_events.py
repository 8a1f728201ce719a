"""A log without a row is no error: every table is there, with its columns, and empty."""

import duckdb
import pytest

from integration.harness import balance, tables

WARNING = "events.{} has no rows; every table will be built empty."


def columns(build):
    with duckdb.connect(build.database, read_only=True) as connection:
        return tables(connection, "warehouse", ["marts"])


@pytest.mark.parametrize(("which", "suffix"), [("first", "csv"), ("second", "parquet")])
def test_a_warning_says_that_the_file_is_empty(empty, which, suffix):
    assert WARNING.format(suffix) in getattr(empty, which).output


def test_every_mart_is_there_with_the_columns_that_it_has_on_data(empty, crowd):
    assert len(columns(empty.first)) >= 13
    assert columns(empty.first) == columns(crowd[1])


def test_every_mart_is_empty_but_the_account_of_the_rows(empty):
    filled = [
        table
        for table in columns(empty.second)
        if empty.second.value(f"select count(*) from {table}") and table != "marts.data_quality"
    ]
    assert filled == []
    assert balance(empty.second) == {
        "raw_events": 0,
        "no_longer_in_input_events": 0,
        "clean_events": 0,
        "capped_outlier_value": 0,
        "raw_is_clean_plus_rejected": 0,
    }
