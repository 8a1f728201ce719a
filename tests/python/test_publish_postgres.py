"""The marts in a Postgres server are one build at every moment. Needs the programs of a server."""

import functools
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import duckdb
import pytest
from small_warehouse import change, other_process, write_warehouse

from manyfaces.cli import main
from manyfaces.errors import UserError
from manyfaces.serving import postgres as postgres_module
from manyfaces.serving.warehouse import Marts

try:
    with duckdb.connect() as connection:
        postgres_module._load_extension(Marts(connection))
except UserError as missing:
    pytest.skip(str(missing), allow_module_level=True)


publish_at_once = functools.partial(postgres_module.publish_postgres, settle_seconds=0)


def find_programs() -> Path | None:
    """Return the folder of Postgres' programs: distributions keep those of the server out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found += [Path(place) for place in [shutil.which("initdb")] if place]
    return found[0].parent if found else None


PROGRAMS = find_programs()
if PROGRAMS is None:
    pytest.skip("no Postgres server is installed", allow_module_level=True)


class Server:
    """A server of its own in a folder of its own, reached through a socket there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A server refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user, self.user)
        (folder / "password").write_text("secret")
        self.run("initdb", "-D", "data", "-U", "owner", "-A", "scram-sha-256", "--pwfile", "password")
        settings = f"-k {folder} -c listen_addresses= -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", settings)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [PROGRAMS / program, *arguments],
            cwd=self.folder,
            user=self.user,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", "data")

    def environment(self, user: str = "owner", database: str = "postgres") -> dict[str, str]:
        return {
            "PGHOST": str(self.folder),
            "PGPORT": "5432",
            "PGUSER": user,
            "PGPASSWORD": "secret",
            "PGDATABASE": database,
        }

    def psql(self, statement: str, user: str = "owner", database: str = "postgres") -> list[str]:
        """Return the rows that a statement gives, a line each."""
        done = subprocess.run(
            [PROGRAMS / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env=os.environ | self.environment(user, database),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def server():
    # Not pytest's folder: the user of the server may not look into that.
    folder = Path(tempfile.mkdtemp(prefix="manyfaces-postgres-"))
    try:
        started = Server(folder)
        started.psql("create role analyst login password 'secret'")
        yield started
        started.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(server, monkeypatch, request):
    """A new database in the server, which the environment names."""
    name = f"test_{abs(hash(request.node.name))}"
    server.psql(f"create database {name}")
    for variable, value in server.environment(database=name).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("MANYFACES_POSTGRES_READER", raising=False)
    return lambda statement, user="owner": server.psql(statement, user, name)


@pytest.fixture
def warehouse(tmp_path):
    return write_warehouse(tmp_path / "warehouse.duckdb")


SCHEMAS = (
    "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema)' and nspname <> 'public'"
)


def test_tables_arrive_with_types_comments_keys_and_rows(warehouse, database):
    published = publish_at_once(warehouse)
    assert published.rows == {"build_info": 1, "counts": 1, "people": 3}
    columns = (
        "select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) "
        "from pg_attribute where attrelid = 'marts.people'::regclass and attnum > 0 order by attnum"
    )
    assert database(columns) == [
        "user_key|bigint|键: a pseudonym",
        "name|character varying|",
        "spend|numeric(12,2)|",
        "born_on|date|",
        "build|integer|",
    ]
    assert database("select obj_description('marts.people'::regclass)") == ["one row per user's key"]
    keys = (
        "select conrelid::regclass, pg_get_constraintdef(oid) from pg_constraint "
        "where connamespace = 'marts'::regnamespace and contype = 'p' order by 1"
    )
    assert sorted(database(keys)) == [
        "marts.build_info|PRIMARY KEY (run_id)",
        "marts.people|PRIMARY KEY (user_key)",
    ]
    assert database("select name, spend, born_on from marts.people where user_key = 2") == [
        "Ä, '2|1.50|2026-01-01"
    ]
    assert database("select run_id, built_at, state from marts.build_info") == [
        "run-1|2026-01-01 12:01:00.25|whole"
    ]
    assert database(SCHEMAS) == ["marts"]


def test_a_second_publish_takes_the_place_of_the_first(warehouse, database):
    publish_at_once(warehouse)
    change(write_warehouse(warehouse, rows=5, number=2), "alter table marts.people add column visits bigint")
    publish_at_once(warehouse)
    assert database("select count(*), count(visits) from marts.people") == ["5|0"]
    assert database("select run_id from marts.build_info") == ["run-2"]
    assert database(SCHEMAS) == ["marts"]


def test_the_reader_may_read_and_nothing_else(warehouse, database, monkeypatch, capsys):
    monkeypatch.setenv("MANYFACES_POSTGRES_READER", "analyst")
    for rows in (3, 4):
        write_warehouse(warehouse, rows=rows)
        assert main(["publish-postgres", "--from", str(warehouse)]) == 0
        assert database("select count(*) from marts.people", "analyst") == [str(rows)]
    assert "read by analyst" in capsys.readouterr().out
    for statement in ("delete from marts.people", "create table marts.notes ()", "drop table marts.people"):
        with pytest.raises(AssertionError, match=r"permission denied|must be owner"):
            database(statement, "analyst")


# Asks in one statement whether the tables are of one build, until its input ends.
READER = """
import select, subprocess, sys

statement = (
    "select (select run_id from marts.build_info) || ' ' || (select people from marts.counts) || ' ' "
    "|| count(*) || ' ' || min(build) || ' ' || max(build) from marts.people"
)
print("ready", flush=True)
reads, builds = 0, set()
psql = subprocess.Popen(
    [sys.argv[1], "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)
while not select.select([sys.stdin], [], [], 0)[0]:
    psql.stdin.write(sys.argv[2] + statement + ";\\n")
    psql.stdin.flush()
    run, counted, people, lowest, highest = psql.stdout.readline().split()
    build = int(lowest)
    assert (run, counted, people, highest) == (f"run-{build}", str(10 + build), str(10 + build), lowest), (
        run, counted, people, lowest, highest
    )
    reads += 1
    builds.add(build)
psql.communicate()
print(reads, len(builds), psql.returncode, flush=True)
"""


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_readers_see_no_error_and_no_mixed_build_while_it_is_swapped(warehouse, server, database, isolation):
    publish_at_once(write_warehouse(warehouse, rows=10, number=0))
    setting = f"\\set QUIET on\nset default_transaction_isolation = '{isolation}';\n"
    arguments = (READER, PROGRAMS / "psql", setting)
    with other_process(*arguments) as first, other_process(*arguments) as second:
        assert first.stdout.readline() == second.stdout.readline() == "ready\n"
        for number in range(1, 6):
            write_warehouse(warehouse, rows=10 + number, number=number)
            postgres_module.publish_postgres(warehouse)
        told = [reader.communicate()[0].split() for reader in (first, second)]
    assert first.returncode == second.returncode == 0, (server.folder / "log").read_text()
    for reads, builds, code in told:
        assert code == "0"
        assert int(reads) > 20
        assert int(builds) > 3


def test_a_kill_while_it_loads_leaves_the_old_build_and_nothing_else(warehouse, database):
    publish_at_once(warehouse)
    write_warehouse(warehouse, rows=5, number=2)
    code = (
        "import os, signal, sys\n"
        "from manyfaces.serving import postgres\n"
        "setattr(postgres, sys.argv[2], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))\n"
        "postgres.publish_postgres(sys.argv[1])\n"
    )
    for moment in ("_verify", "_swap"):
        with other_process(code, warehouse, moment) as killed:
            killed.communicate()
        assert killed.returncode == -9
        assert database("select count(*) from marts.people") == ["3"]
    publish_at_once(warehouse)
    assert database("select count(*) from marts.people") == ["5"]
    assert database(SCHEMAS) == ["marts"]


def test_a_reader_that_never_ends_keeps_his_tables_and_is_named_as_the_reason(warehouse, database):
    publish_at_once(warehouse)
    with subprocess.Popen(
        [PROGRAMS / "psql", "-X", "-A", "-t", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        session.stdin.write("begin; select count(*) from marts.people;\n")
        session.stdin.flush()
        assert session.stdout.readline() == "3\n"
        write_warehouse(warehouse, rows=5)
        with pytest.raises(UserError, match="readers keep the tables of the schema marts locked"):
            publish_at_once(warehouse, patience_seconds=0.1)
        assert database(SCHEMAS) == ["marts"]
        session.stdin.write("select count(*) from marts.people; rollback;\n")
        session.stdin.flush()
        assert session.stdout.readline() == "3\n"
        session.communicate()
    publish_at_once(warehouse)
    assert database("select count(*) from marts.people") == ["5"]


def test_what_other_people_made_is_never_dropped(warehouse, database):
    database("create schema marts; create table marts.notes (text text)")
    with pytest.raises(UserError, match=r"the schema marts in test_\d+ was not made by publishing"):
        publish_at_once(warehouse)
    database("drop schema marts cascade")

    publish_at_once(warehouse)
    database("create view public.rich as select * from marts.people where spend > 1")
    with pytest.raises(UserError, match=r"made from the schema marts, .*: view rich depends on table"):
        publish_at_once(warehouse)
    assert database("select count(*) from public.rich") == ["3"]
    assert database(SCHEMAS) == ["marts"]


def test_two_publishes_at_a_time_do_not_meet(warehouse, database):
    with subprocess.Popen(
        [PROGRAMS / "psql", "-X", "-A", "-t", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdin.write(f"begin; select pg_advisory_xact_lock({postgres_module._ADVISORY_LOCK}), 1;\n")
        other.stdin.flush()
        assert other.stdout.readline() == "|1\n"
        with pytest.raises(UserError, match="another publish into test_"):
            publish_at_once(warehouse)
        other.communicate()
    publish_at_once(warehouse)


def test_a_build_that_is_not_whole_is_loaded_on_demand_only(warehouse, database):
    write_warehouse(warehouse, problem="people could not be made")
    with pytest.raises(UserError, match="people could not be made"):
        publish_at_once(warehouse)
    assert database(SCHEMAS) == []
    publish_at_once(warehouse, allow_incomplete=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"PGHOST": "127.0.0.1", "PGPORT": free_port()},
            r"port \d+ failed: Connection refused; look at PGHOST",
        ),
        ({"PGPASSWORD": "wrong-one"}, 'password authentication failed for user "owner"; look at'),
        ({"PGDATABASE": "nowhere"}, 'database "nowhere" does not exist; look at'),
        (
            {"PGUSER": "analyst"},
            r"Postgres refuses, so nothing was published: permission denied for database",
        ),
    ],
    ids=["address", "password", "database", "permission"],
)
def test_a_server_that_cannot_be_used_is_said_in_a_sentence(
    warehouse, database, monkeypatch, capsys, changes, expected
):
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert main(["publish-postgres", "--from", str(warehouse)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("manyfaces: ")
    assert said.err.count("\n") == 1
    assert re.search(expected, said.err), said.err
    assert os.environ["PGPASSWORD"] not in said.err


def test_a_role_that_is_not_there_is_said_in_a_sentence(warehouse, database):
    with pytest.raises(
        UserError, match=r"there is no role auditor in test_\d+: .* create role \"auditor\" login"
    ):
        publish_at_once(warehouse, reader="auditor")
    assert database(SCHEMAS) == []


@pytest.mark.parametrize("package", ["no_such_package", "duckdb"], ids=["package", "version"])
def test_an_extension_that_is_not_installed_is_said_in_a_sentence(warehouse, monkeypatch, package):
    monkeypatch.setattr(postgres_module, "_PACKAGE", package)
    expected = rf"needs the package \S+ in the version of DuckDB, which is {duckdb.__version__}: install it"
    with pytest.raises(UserError, match=expected):
        publish_at_once(warehouse)
