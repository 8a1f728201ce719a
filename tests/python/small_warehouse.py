"""A warehouse of a few rows with the record of its builds, for tests of publishing; test_build_record.py has dbt write one."""

import subprocess
import sys
from pathlib import Path

import duckdb

# Reads queries from its input and prints what they give.
READER = (
    "import duckdb, sys\n"
    "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
    "for line in sys.stdin:\n"
    "    print(connection.execute(line).fetchall(), flush=True)\n"
)


def write_warehouse(
    path: Path, rows: int = 3, number: int = 1, problem: str | None = None, has_ended: bool = True
) -> Path:
    """Write build `number`: so many people, and a view that counts them."""
    path.unlink(missing_ok=True)
    state = "incomplete" if problem else "whole"
    ended = f"timestamp '2026-01-01 12:00:00.25' + interval ({number}) minute" if has_ended else "null"
    said = f"'{problem}'" if problem else "null"
    with duckdb.connect(path) as connection:
        for statement in (
            "begin",
            "create schema marts",
            "create schema staging",
            "create schema builds",
            f"create table staging.raw_users as select range as user_id from range({rows})",
            "create table marts.people as select range as user_key, 'Ä, '''||range as name, "
            f"cast(1.5 as decimal(12, 2)) as spend, date '2026-01-01' as born_on, {number} as build "
            f"from range({rows})",
            "create view marts.counts as select count(*) as people from warehouse.staging.raw_users",
            "comment on table marts.people is 'one row per user''s key'",
            "comment on column marts.people.user_key is '键: a pseudonym'",
            "comment on view marts.counts is 'how many'",
            "comment on column marts.counts.people is 'so many'",
            "create table builds.nodes as "
            "select 'marts' as schema_name, 'model' as resource_type, table_name, key_columns "
            "from (values ('people', ['user_key']), ('counts', null), ('build_info', ['run_id'])) "
            "as nodes(table_name, key_columns)",
            f"create table builds.runs as select {number} as number, 'run-{number}' as run_id, "
            "'build' as command, timestamp '2026-01-01 11:00:00' as started_at, "
            f"cast({ended} as timestamp) as ended_at, cast({said} as varchar) as problem",
            "create view marts.build_info as select run_id, coalesce(ended_at, started_at) as built_at, "
            f"case when ended_at is null then 'incomplete' else '{state}' end as state "
            "from warehouse.builds.runs",
            "commit",
        ):
            connection.execute(statement).fetchall()
    return path


def change(path: Path, *statements: str) -> Path:
    """Run statements in a database file."""
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
    return path


def read(path: Path, query: str) -> list[tuple]:
    """Return the rows of a query in a database file."""
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def other_process(code: str, *arguments: object, **more: object) -> subprocess.Popen:
    """Start Python on some code, with pipes to its input and from its output."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )
