"""What readers open is a whole build at every moment, whatever happens to the publish."""

import fcntl
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_warehouse import READER, change, other_process, read, write_warehouse

from manyfaces.errors import UserError
from manyfaces.serving import file as file_module
from manyfaces.serving.file import publish

PEOPLE = "select count(*) from marts.people"
TABLES = ["build_info", "counts", "people"]


@pytest.fixture
def warehouse(tmp_path):
    return write_warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def serving(warehouse, tmp_path):
    return publish(warehouse, tmp_path / "serving.duckdb").path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


PUBLISHED = ["serving.duckdb", "serving.duckdb.sha256", "warehouse.duckdb"]


def test_only_the_marts_are_published_with_their_rows_and_comments(warehouse, tmp_path):
    published = publish(warehouse, tmp_path / "serving.duckdb")

    assert published.rows == {"build_info": 1, "counts": 1, "people": 3}
    tables = "select schema_name, table_name, comment from duckdb_tables() order by table_name"
    assert read(published.path, tables) == [
        ("marts", "build_info", None),
        ("marts", "counts", "how many"),
        ("marts", "people", "one row per user's key"),
    ]
    columns = (
        "select column_name, data_type, comment from duckdb_columns() "
        "where table_name in ('people', 'counts') and not internal order by table_name, column_index"
    )
    assert read(published.path, columns) == [
        ("people", "BIGINT", "so many"),
        ("user_key", "BIGINT", "键: a pseudonym"),
        ("name", "VARCHAR", None),
        ("spend", "DECIMAL(12,2)", None),
        ("born_on", "DATE", None),
        ("build", "INTEGER", None),
    ]
    assert read(published.path, "select people from marts.counts") == [(3,)]
    assert names(tmp_path) == PUBLISHED
    assert published.bytes == published.path.stat().st_size


def test_a_table_that_no_model_makes_any_more_is_left_out_and_named(warehouse, tmp_path):
    change(warehouse, "create table marts.renamed as select 1 as old")
    published = publish(warehouse, tmp_path / "serving.duckdb")
    assert list(published.rows) == TABLES
    assert "left out, as no model makes it any more: renamed" in str(published)


def test_the_file_can_be_opened_by_every_duckdb_from_1_0_on(serving):
    header = serving.read_bytes()[:64]
    # Bytes 8 to 11 are "DUCK", then the storage version: 64 from DuckDB 0.10 to 1.1, higher ones after.
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64


def test_the_checksum_beside_it_is_what_sha256sum_checks(warehouse, serving, tmp_path):
    published = publish(warehouse, serving)
    assert published.sha256 == hashlib.sha256(serving.read_bytes()).hexdigest()
    assert (tmp_path / "serving.duckdb.sha256").read_text() == f"{published.sha256}  serving.duckdb\n"
    if shutil.which("sha256sum"):
        check = ["sha256sum", "-c", "serving.duckdb.sha256"]
        done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "serving.duckdb: OK\n"


def test_a_reader_keeps_its_whole_old_build_and_the_next_one_sees_the_new(warehouse, serving):
    with other_process(READER, serving) as reader:

        def ask():
            reader.stdin.write(PEOPLE + "\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert ask() == "[(3,)]"
        publish(write_warehouse(warehouse, rows=5), serving)
        assert ask() == "[(3,)]"
        assert read(serving, PEOPLE) == [(5,)]
        reader.stdin.close()


# Until its input ends, it opens the file anew and asks in one connection whether the tables are of one build.
RESTLESS_READER = """
import select, sys
import duckdb

def ask(connection, query):
    return connection.execute(query).fetchall()[0]

print("ready", flush=True)
reads, builds = 0, set()
while not select.select([sys.stdin], [], [], 0)[0]:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        (run_id,) = ask(connection, "select run_id from marts.build_info")
        people, lowest, highest = ask(connection, "select count(*), min(build), max(build) from marts.people")
        (counted,) = ask(connection, "select people from marts.counts")
    found = (run_id, lowest, highest, people, counted)
    assert found == (f"run-{lowest}", lowest, lowest, 100 + lowest, 100 + lowest), found
    reads += 1
    builds.add(lowest)
print(reads, len(builds), flush=True)
"""


def test_two_restless_readers_see_no_error_and_no_mixed_build_in_sixty_publishes(warehouse, serving):
    publish(write_warehouse(warehouse, rows=100, number=0), serving)
    with other_process(RESTLESS_READER, serving) as first, other_process(RESTLESS_READER, serving) as second:
        assert first.stdout.readline() == second.stdout.readline() == "ready\n"
        for number in range(1, 61):
            publish(write_warehouse(warehouse, rows=100 + number, number=number), serving)
        told = [reader.communicate()[0].split() for reader in (first, second)]
    assert first.returncode == second.returncode == 0
    for reads, builds in told:
        # They did read while builds changed, and not only the first and the last of them.
        assert int(reads) > 20
        assert int(builds) > 10


def test_whatever_moment_a_publish_is_killed_at_a_whole_build_is_there(warehouse, serving, tmp_path):
    write_warehouse(warehouse, rows=20_000)
    started = time.perf_counter()
    whole = publish(warehouse, serving).rows
    duration = time.perf_counter() - started
    code = (
        "import sys\n"
        "from manyfaces.serving.file import publish\n"
        "while True:\n"
        "    publish(sys.argv[1], sys.argv[2], kept_builds=1)\n"
        "    print('published', flush=True)\n"
    )
    moments = random.Random(7)
    interrupted = 0
    for _ in range(20):
        with other_process(code, warehouse, serving) as killed:
            assert killed.stdout.readline() == "published\n"
            time.sleep(moments.uniform(0, 2 * duration))
            killed.kill()
        assert killed.returncode == -9
        interrupted += len(list(tmp_path.glob("*.tmp-*"))) > 0
        rows = {table: read(serving, f"select count(*) from marts.{table}")[0][0] for table in TABLES}
        assert rows == whole
        checksum = tmp_path / "serving.duckdb.sha256"
        digest = hashlib.sha256(serving.read_bytes()).hexdigest()
        assert not checksum.exists() or checksum.read_text().split()[0] == digest
    assert interrupted > 0, "no kill met a publish at work"
    publish(warehouse, serving)
    assert names(tmp_path) == PUBLISHED


# Of the two renames the first puts the build in place, the second its checksum.
@pytest.mark.parametrize(("survived", "rows", "has_checksum"), [(0, 3, False), (1, 5, False), (2, 5, True)])
def test_a_kill_around_the_swap_leaves_a_whole_build_and_never_a_wrong_checksum(
    warehouse, serving, tmp_path, survived, rows, has_checksum
):
    write_warehouse(warehouse, rows=5)
    code = (
        "import os, signal, sys\n"
        "from manyfaces.serving.file import publish\n"
        "replace, calls = os.replace, []\n"
        "def killed(*paths):\n"
        f"    if len(calls) == {survived}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    calls.append(replace(*paths))\n"
        "os.replace = killed\n"
        "publish(sys.argv[1], sys.argv[2])\n"
    )
    with other_process(code, warehouse, serving) as process:
        process.communicate()
    assert process.returncode == (0 if survived == 2 else -9)
    assert read(serving, PEOPLE) == [(rows,)]
    assert (tmp_path / "serving.duckdb.sha256").exists() == has_checksum

    publish(warehouse, serving)
    assert read(serving, PEOPLE) == [(5,)]
    assert names(tmp_path) == PUBLISHED


def test_of_two_publishes_at_a_time_one_waits_for_the_other(warehouse, serving, tmp_path):
    code = (
        "import sys\n"
        "from manyfaces.serving.file import publish\n"
        "print('started', flush=True)\n"
        "publish(sys.argv[1], sys.argv[2])\n"
    )
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with other_process(code, warehouse, serving) as waiting:
        assert waiting.stdout.readline() == "started\n"
        unfinished = tmp_path / "serving.duckdb.tmp-1"
        unfinished.touch()
        before = serving.stat().st_ino
        while not any(
            "->" in line and f" {waiting.pid} " in line
            for line in Path("/proc/locks").read_text().splitlines()
        ):
            assert waiting.poll() is None, "it did not wait"
        assert serving.stat().st_ino == before
        assert unfinished.exists(), "the file of a publish that still runs was taken away"
        os.close(handle)
    assert waiting.returncode == 0
    assert serving.stat().st_ino != before
    assert names(tmp_path) == PUBLISHED


def test_unsaved_changes_of_someone_who_wrote_the_old_file_do_not_meet_the_new_one(
    warehouse, serving, tmp_path
):
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('insert into marts.counts values (99)').fetchall()\n"
        "os._exit(0)\n"
    )
    with other_process(code, serving) as writer:
        writer.communicate()
    assert (tmp_path / "serving.duckdb.wal").exists()

    publish(warehouse, serving)

    assert read(serving, "select max(people) from marts.counts") == [(3,)]


def test_a_warehouse_that_a_crash_left_with_a_log_is_published_whole(warehouse, serving):
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('insert into staging.raw_users values (99)').fetchall()\n"
        "os._exit(0)\n"
    )
    with other_process(code, warehouse) as writer:
        writer.communicate()
    publish(warehouse, serving)
    assert read(serving, "select people from marts.counts") == [(4,)]


@pytest.mark.parametrize(
    "damage",
    [
        "delete from marts.people where user_key = 1",
        "update marts.people set spend = 2 where user_key = 1",
        "comment on column marts.people.user_key is null",
        "alter table marts.people alter born_on type timestamp",
        "drop table marts.counts",
        "create schema staging; create table staging.people (user_id bigint)",
    ],
    ids=["row", "value", "comment", "type", "table", "schema"],
)
def test_a_copy_that_differs_from_the_warehouse_is_thrown_away(
    warehouse, serving, tmp_path, monkeypatch, damage
):
    before = serving.read_bytes()
    copy = file_module._copy

    def damaged(warehouse, tables, path):
        copy(warehouse, tables, path)
        change(path, damage)

    monkeypatch.setattr(file_module, "_copy", damaged)
    with pytest.raises(UserError, match="not whole"):
        publish(warehouse, serving)
    assert serving.read_bytes() == before
    assert names(tmp_path) == PUBLISHED


def test_a_build_that_is_not_whole_is_published_on_demand_only_and_says_so(warehouse, serving):
    write_warehouse(warehouse, rows=5, number=2, problem="the test unique_people failed (and 2 more)")
    with pytest.raises(
        UserError,
        match=r"^warehouse\.duckdb holds no whole build, so nothing was published: the test unique_people "
        r"failed \(and 2 more\)\. Run `manyfaces build`, or .* --allow-incomplete$",
    ):
        publish(warehouse, serving)
    assert read(serving, PEOPLE) == [(3,)]

    publish(warehouse, serving, allow_incomplete=True)
    assert read(serving, PEOPLE) == [(5,)]
    assert read(serving, "select run_id, state from marts.build_info") == [("run-2", "incomplete")]


def test_a_run_that_was_killed_left_no_whole_build(warehouse, serving):
    write_warehouse(warehouse, rows=5, number=2, has_ended=False)
    with pytest.raises(UserError, match=r"the last run \(dbt build, 2026-01-01 11:00:00 UTC\) did not end"):
        publish(warehouse, serving)
    publish(warehouse, serving, allow_incomplete=True)
    assert read(serving, "select state from marts.build_info") == [("incomplete",)]


def test_what_cannot_be_published_is_said_in_a_sentence(tmp_path, warehouse):
    serving = tmp_path / "serving.duckdb"
    with pytest.raises(UserError, match=r"no missing\.duckdb to publish: run"):
        publish(tmp_path / "missing.duckdb", serving)

    change(tmp_path / "empty.duckdb", "select 1")
    with pytest.raises(UserError, match=r"empty\.duckdb has no marts yet: run"):
        publish(tmp_path / "empty.duckdb", serving)

    change(tmp_path / "old.duckdb", "create schema marts", "create table marts.people (user_key text)")
    with pytest.raises(UserError, match=r"old\.duckdb does not say which build it holds: run"):
        publish(tmp_path / "old.duckdb", serving, allow_incomplete=True)

    (tmp_path / "text.duckdb").write_text("no database" * 1000)
    with pytest.raises(UserError, match=r"text\.duckdb is not a DuckDB database"):
        publish(tmp_path / "text.duckdb", serving)

    renamed = shutil.copy(warehouse, tmp_path / "renamed.duckdb")
    with pytest.raises(UserError, match=r"renamed\.duckdb has another name than when it was written"):
        publish(renamed, serving)

    with pytest.raises(UserError, match="over itself"):
        publish(warehouse, warehouse)
    with pytest.raises(UserError, match="no folder"):
        publish(warehouse, tmp_path / "nowhere" / "serving.duckdb")
    assert not list(tmp_path.glob("serving*"))


def test_a_warehouse_that_someone_writes_is_named_with_the_process(warehouse, tmp_path):
    code = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with other_process(code, warehouse) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(
            UserError, match=rf"warehouse\.duckdb is open in python\S* \(process {holder.pid}\): wait"
        ):
            publish(warehouse, tmp_path / "serving.duckdb")
        holder.stdin.close()
    assert names(tmp_path) == ["warehouse.duckdb"]


PUBLISH = (
    "import sys\n"
    "from manyfaces.cli import main\n"
    "sys.exit(main(['publish', '--from', sys.argv[1], '--to', sys.argv[2]]))\n"
)
NO_SPACE = (
    "manyfaces: no space is left to write serving.duckdb in {folder}: make room for a whole build and "
    "publish again; what was published before is as it was\n"
)


def test_a_full_disk_leaves_the_old_build_and_is_said_in_a_sentence(warehouse, serving, tmp_path):
    before = serving.read_bytes()
    write_warehouse(warehouse, rows=200_000)
    # A file may not grow beyond this, which the system reports to the writer as it reports a full disk.
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n{PUBLISH}"
    with other_process(limited, warehouse, serving, stderr=subprocess.PIPE) as process:
        _, said = process.communicate()
    assert (process.returncode, said) == (2, NO_SPACE.format(folder=tmp_path))
    assert serving.read_bytes() == before
    assert names(tmp_path) == PUBLISHED


def test_a_disk_that_is_really_full_is_no_different(warehouse, tmp_path):
    mount = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
    folder = tmp_path / "small"
    folder.mkdir()
    first = f"{tmp_path}/first.duckdb"
    write_warehouse(warehouse)
    publish(warehouse, first)
    script = (
        f"mount -t tmpfs -o size=3m tmpfs {folder} && cd {folder} || exit 99\n"
        f"cp {first} serving.duckdb && sha256sum serving.duckdb > serving.duckdb.sha256 || exit 98\n"
        '"$0" -c "$1" "$2" serving.duckdb && exit 97\n'
        "sha256sum --quiet -c serving.duckdb.sha256 && ls"
    )
    write_warehouse(warehouse, rows=500_000)
    done = subprocess.run(
        [*mount, script, sys.executable, PUBLISH, str(warehouse)], capture_output=True, text=True, check=False
    )
    if done.returncode in (1, 99) and not done.stdout:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == NO_SPACE.format(folder=folder)
    assert done.stdout.split() == ["serving.duckdb", "serving.duckdb.sha256"]
