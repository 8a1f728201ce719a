import io
import json

import duckdb
import pytest

from manyfaces import walls
from manyfaces.errors import UserError
from manyfaces.walls import build_walls, split_variables


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """Record the arguments of every build; the first writes a log from 2025-01-01 to 2025-03-01."""
    recorded = []

    def build(arguments, out):
        with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
            if not recorded:
                connection.execute("create schema staging").fetchall()
                connection.execute("create schema features").fetchall()
                connection.execute(
                    "create table staging.stg_events as "
                    "select unnest([timestamp '2025-01-01', timestamp '2025-02-28 23:59:59']) as event_at"
                ).fetchall()
                connection.execute(
                    "create table features.wall as select timestamp '2025-03-01' as as_of"
                ).fetchall()
        recorded.append(list(arguments))
        return "--fail" not in arguments or len(recorded) < 2

    monkeypatch.setattr(walls, "build", build)
    return recorded


def variables(arguments):
    return json.loads(arguments[arguments.index("--vars") + 1])


def run(tmp_path, *arguments, number=3, days=28):
    out = io.StringIO()
    return build_walls(arguments, number, days, tmp_path / "warehouse.duckdb", out), out.getvalue()


def test_walls_come_in_order_with_the_given_settings_and_the_last_is_the_end(builds, tmp_path):
    succeeded, said = run(tmp_path, "--full-refresh", "--vars", "{top_n: 5}")
    assert succeeded
    assert builds[0][:3] == ["--full-refresh", "--vars", "{top_n: 5}"]
    assert builds[0][3:5] == ["--select", "+wall"]
    assert [variables(arguments) for arguments in builds[1:]] == [
        {"top_n": 5, "as_of": f"{day} 00:00:00"} for day in ("2025-01-04", "2025-02-01", "2025-03-01")
    ]
    assert all("--full-refresh" in arguments for arguments in builds)
    assert [line for line in said.splitlines() if line.startswith("wall")] == [
        "wall 1 of 3: 2025-01-04 00:00:00",
        "wall 2 of 3: 2025-02-01 00:00:00",
        "wall 3 of 3: 2025-03-01 00:00:00",
    ]


def test_walls_before_the_first_event_are_left_out(builds, tmp_path):
    run(tmp_path, number=9)
    assert [variables(arguments)["as_of"][:10] for arguments in builds[1:]] == [
        "2025-01-04",
        "2025-02-01",
        "2025-03-01",
    ]


def test_the_first_wall_that_fails_is_the_last(builds, tmp_path):
    succeeded, said = run(tmp_path, "--fail")
    assert not succeeded
    assert len(builds) == 2
    assert said.splitlines()[-1] == "wall 1 of 3 failed: 2025-01-04 00:00:00"


def test_a_log_without_events_is_one_plain_sentence(builds, tmp_path):
    run(tmp_path, number=1)
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("delete from staging.stg_events").fetchall()
        connection.execute("delete from features.wall").fetchall()
    with pytest.raises(UserError, match="there is no event"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "number", "days", "message"),
    [
        (["--select", "marts"], 3, 28, "cannot go with --select"),
        (["--exclude=marts"], 3, 28, "cannot go with --exclude"),
        ([], 0, 28, "at least 1"),
        ([], 3, 0, "at least 1"),
        (["--vars", "[1]"], 3, 28, "must be a mapping"),
        (["--vars", "{top_n: "], 3, 28, "cannot be read"),
        (["--vars"], 3, 28, "cannot be read"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(builds, tmp_path, arguments, number, days, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, *arguments, number=number, days=days)
    assert builds == []


def test_variables_are_taken_out_of_the_options_wherever_they_stand():
    rest, found = split_variables(["--threads", "1", "--vars={a: 1}", "--full-refresh"])
    assert (rest, found) == (["--threads", "1", "--full-refresh"], {"a": 1})
    assert split_variables(["--fail-fast"]) == (["--fail-fast"], {})
