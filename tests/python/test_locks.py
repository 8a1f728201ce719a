"""Who has a file open is said by the name that people know it by."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_warehouse import READER, change, other_process

from manyfaces.errors import database_error
from manyfaces.locks import Holder, holder, other_holder
from manyfaces.summary import print_summary

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a file")

WRITER = (
    "import duckdb, sys\n"
    "connection = duckdb.connect(sys.argv[1])\n"
    "print('open', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def database(tmp_path):
    return change(tmp_path / "warehouse.duckdb", "create schema marts")


def test_readers_and_writers_are_found_without_touching_the_file(database):
    assert other_holder(database) is None
    for code in (READER, WRITER):
        with other_process(code, database) as process:
            if code == READER:
                process.stdin.write("select 1\n")
                process.stdin.flush()
            process.stdout.readline()
            assert other_holder(database).process == process.pid
            assert (other_holder(database, writers_only=True) is None) == (code == READER)
            process.stdin.close()
    assert other_holder(database) is None
    assert other_holder(database.with_name("missing.duckdb")) is None


def test_looking_does_not_drop_the_locks_of_this_process(database):
    import duckdb

    with duckdb.connect(database):
        assert other_holder(database) is None
        # Another process sees the lock, so it is still there.
        code = (
            "import sys\nfrom manyfaces.locks import other_holder\nprint(other_holder(sys.argv[1]).process)\n"
        )
        with other_process(code, database) as process:
            assert process.stdout.read() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["{folder}/dbt", "build"], "dbt"),
        (["-m", "this_module", "-x"], "this_module.py"),
        (["-c", "{wait}"], Path(sys.executable).resolve().name),
    ],
    ids=["script", "module", "code"],
)
def test_a_script_or_module_is_named_instead_of_the_interpreter(tmp_path, command, name):
    wait = "import sys; print('ready', flush=True); sys.stdin.read()"
    (tmp_path / "dbt").write_text(wait)
    (tmp_path / "this_module.py").write_text(wait)
    arguments = [word.format(folder=tmp_path, wait=wait) for word in command]
    with subprocess.Popen(
        [os.path.realpath(sys.executable), *arguments],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        found = holder(process.pid)
        process.stdin.close()
    assert (found.process, found.program.removesuffix(".py")) == (process.pid, name.removesuffix(".py"))


def test_what_is_not_known_is_not_made_up():
    assert str(Holder(None, None)) == "another program"
    assert holder(0) == Holder(None, None), "a process outside of this container"
    told = RuntimeError(
        'IO Error: Could not set lock on file "/data/warehouse.duckdb": Conflicting lock is held.'
    )
    assert str(database_error(told)).startswith("warehouse.duckdb is open in another program: wait until")


def test_a_published_file_that_someone_may_write_is_to_be_opened_read_only(tmp_path):
    from manyfaces.errors import UserError

    serving = change(tmp_path / "serving.duckdb", "create schema marts")
    with other_process(WRITER, serving) as process:
        process.stdout.readline()
        with pytest.raises(
            UserError,
            match=rf"^serving\.duckdb is open in python\S* \(process {process.pid}\), which may write to it: "
            "close it there, and open it read-only$",
        ):
            print_summary(serving)
        process.stdin.close()
