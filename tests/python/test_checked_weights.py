"""Weights of the sources that cannot work stop the build with one sentence, run on tables made here."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT

GOOD = [("for_you", "buy_again", 0.6), ("for_you", "popular", 0.4), ("discover", "popular", 1.0)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> str:
    target = tmp_path_factory.mktemp("compiled")
    done = subprocess.run(
        [
            *[str(Path(sys.executable).with_name("dbt")), "compile", "--select", "checked_weights"],
            *["--target-path", str(target), "--log-path", str(target)],
        ],
        cwd=PROJECT,
        env=os.environ | {"MANYFACES_DATABASE": str(target / "warehouse.duckdb")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return next((target / "compiled").rglob("checked_weights.sql")).read_text()


def checked(compiled: str, rows: list[tuple]) -> list[tuple]:
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as warehouse; use warehouse; create schema seeds").fetchall()
        connection.execute("create table seeds.source_weights (list text, source text, weight double)")
        if rows:
            connection.executemany("insert into seeds.source_weights values (?, ?, ?)", rows)
        return connection.execute(compiled).fetchall()


def test_weights_that_add_up_pass_unchanged(compiled):
    assert sorted(checked(compiled, GOOD)) == sorted(GOOD)


def test_the_weights_of_the_project_pass(compiled):
    with open(PROJECT / "seeds" / "source_weights.csv", newline="") as file:
        rows = [(row["list"], row["source"], float(row["weight"])) for row in csv.DictReader(file)]
    assert sorted(checked(compiled, rows)) == sorted(rows)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (GOOD[1:], "the weights of the list 'for_you' add up to 0.4, not to 1"),
        (GOOD[:2], "the weights of the list 'discover' add up to 0.0, not to 1"),
        (
            [*GOOD, ("discover", "segment", 0.001)],
            "the weights of the list 'discover' add up to 1.001, not to 1",
        ),
        ([], "the weights of the list 'discover' add up to 0.0, not to 1"),
        ([*GOOD, ("home", "popular", 1.0)], "there is no list 'home'; the lists are for_you and discover"),
        (
            [*GOOD, ("for_you", "segment", None)],
            "the weight of 'segment' in the list 'for_you' must be a number of 0 or more",
        ),
        (
            [*GOOD[:2], ("discover", "popular", 1.5), ("discover", "segment", -0.5)],
            "the weight of 'segment' in the list 'discover' must be a number of 0 or more",
        ),
        (
            [*GOOD, ("for_you", "luck", 0.0)],
            "there is no source 'luck'; README.md names those that there are",
        ),
    ],
)
def test_weights_that_cannot_work_stop_the_build(compiled, rows, expected):
    for order in (rows, rows[::-1]):
        with pytest.raises(duckdb.Error) as raised:
            checked(compiled, order)
        said = str(raised.value).partition("manyfaces: ")[2]
        assert said.startswith(f"seeds/source_weights.csv cannot work: {expected}")
        assert said.count(".csv") == 1
        assert said.endswith(".")
