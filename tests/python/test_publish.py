import os
import subprocess
import sys

import duckdb
import pytest

from manyfaces.errors import UserError
from manyfaces.publish import publish


def write(path, rows=3):
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        for statement in (
            "create schema marts",
            "create schema staging",
            f"create table staging.raw_users as select range as user_id from range({rows})",
            "create table marts.people as "
            f"select range as user_key, [1.5::float] as vector from range({rows})",
            "create view marts.counts as select count(*) as people from warehouse.staging.raw_users",
            "comment on table marts.people is 'one row per user''s key'",
            "comment on column marts.people.user_key is '键: a pseudonym'",
            "comment on view marts.counts is 'how many'",
        ):
            connection.execute(statement).fetchall()
    return path


@pytest.fixture
def warehouse(tmp_path):
    return write(tmp_path / "warehouse.duckdb")


def read(path, query):
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def other_process(code, *arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )


def test_only_the_marts_are_published_with_their_rows_and_comments(warehouse, tmp_path):
    published = publish(warehouse, tmp_path / "serving.duckdb")

    assert published.rows == {"counts": 1, "people": 3}
    tables = "select schema_name, table_name, comment from duckdb_tables() order by table_name"
    assert read(published.path, tables) == [
        ("marts", "counts", "how many"),
        ("marts", "people", "one row per user's key"),
    ]
    columns = (
        "select column_name, data_type, comment from duckdb_columns() "
        "where table_name = 'people' and not internal order by column_index"
    )
    assert read(published.path, columns) == [
        ("user_key", "BIGINT", "键: a pseudonym"),
        ("vector", "FLOAT[]", None),
    ]
    assert read(published.path, "select people from marts.counts") == [(3,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["serving.duckdb", "warehouse.duckdb"]
    assert published.bytes == published.path.stat().st_size


def test_the_file_can_be_opened_by_every_duckdb_from_1_0_on(warehouse, tmp_path):
    header = publish(warehouse, tmp_path / "serving.duckdb").path.read_bytes()[:64]
    # Bytes 8 to 11 are "DUCK", then the storage version: 64 from DuckDB 0.10 to 1.1, higher ones after.
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64


def test_a_reader_keeps_its_whole_old_build_and_the_next_one_sees_the_new(warehouse, tmp_path):
    serving = publish(warehouse, tmp_path / "serving.duckdb").path
    count = "select count(*) from marts.people"
    code = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "for line in sys.stdin:\n"
        "    print(connection.execute(line).fetchall(), flush=True)\n"
    )
    with other_process(code, serving) as reader:

        def ask():
            reader.stdin.write(count + "\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert ask() == "[(3,)]"
        publish(write(warehouse, rows=5), serving)
        assert ask() == "[(3,)]"
        assert read(serving, count) == [(5,)]
        reader.stdin.close()


def test_a_kill_before_the_swap_leaves_the_old_file_and_the_next_publish_cleans_up(warehouse, tmp_path):
    serving = publish(warehouse, tmp_path / "serving.duckdb").path
    before = serving.read_bytes()
    write(warehouse, rows=5)
    code = (
        "import os, signal, sys\n"
        "from manyfaces.publish import publish\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "publish(sys.argv[1], sys.argv[2])\n"
    )
    with other_process(code, warehouse, serving) as killed:
        killed.communicate()
    leftover = tmp_path / f"serving.duckdb.tmp-{killed.pid}"
    assert killed.returncode == -9
    assert leftover.exists()
    assert serving.read_bytes() == before

    running = tmp_path / f"serving.duckdb.tmp-{os.getppid()}"
    running.touch()
    publish(warehouse, serving)

    assert read(serving, "select count(*) from marts.people") == [(5,)]
    assert not leftover.exists()
    assert running.exists(), "the file of a publish that still runs was taken away"


def test_unsaved_changes_of_someone_who_wrote_the_old_file_do_not_meet_the_new_one(warehouse, tmp_path):
    serving = publish(warehouse, tmp_path / "serving.duckdb").path
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('insert into marts.people values (99, [])').fetchall()\n"
        "os._exit(0)\n"
    )
    with other_process(code, serving) as writer:
        writer.communicate()
    assert (tmp_path / "serving.duckdb.wal").exists()

    publish(warehouse, serving)

    assert read(serving, "select max(user_key) from marts.people") == [(2,)]


def test_a_warehouse_that_a_crash_left_with_a_log_is_published_whole(warehouse, tmp_path):
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('insert into marts.people values (99, [])').fetchall()\n"
        "os._exit(0)\n"
    )
    with other_process(code, warehouse) as writer:
        writer.communicate()
    assert publish(warehouse, tmp_path / "serving.duckdb").rows["people"] == 4


def test_a_copy_that_is_not_whole_is_thrown_away(warehouse, tmp_path, monkeypatch):
    serving = publish(warehouse, tmp_path / "serving.duckdb").path
    before = serving.read_bytes()

    def truncate(path):
        with duckdb.connect(path) as connection:
            connection.execute("delete from marts.people where user_key = 1").fetchall()

    from manyfaces import publish as module

    verify = module._verify
    monkeypatch.setattr(module, "_verify", lambda copy, *rest: (truncate(copy), verify(copy, *rest)))
    with pytest.raises(UserError, match="not whole"):
        publish(warehouse, serving)
    assert serving.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["serving.duckdb", "warehouse.duckdb"]


def test_what_cannot_be_published_is_said_in_a_sentence(tmp_path, warehouse):
    serving = tmp_path / "serving.duckdb"
    with pytest.raises(UserError, match=r"no missing\.duckdb to publish: run"):
        publish(tmp_path / "missing.duckdb", serving)

    empty = tmp_path / "empty.duckdb"
    duckdb.connect(empty).close()
    with pytest.raises(UserError, match=r"empty\.duckdb has no marts yet"):
        publish(empty, serving)

    (tmp_path / "text.duckdb").write_text("no database" * 1000)
    with pytest.raises(UserError, match=r"text\.duckdb is not a DuckDB database"):
        publish(tmp_path / "text.duckdb", serving)

    with pytest.raises(UserError, match="over itself"):
        publish(warehouse, warehouse)
    with pytest.raises(UserError, match="no folder"):
        publish(warehouse, tmp_path / "nowhere" / "serving.duckdb")
    assert not serving.exists()


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
            UserError, match=rf"another program \(process {holder.pid}\) has warehouse.duckdb open"
        ):
            publish(warehouse, tmp_path / "serving.duckdb")
        holder.stdin.close()
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]
