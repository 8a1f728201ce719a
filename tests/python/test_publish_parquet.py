"""The folder of Parquet files is one build at every moment."""

import json
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_warehouse import change, other_process, write_warehouse

from manyfaces.errors import UserError
from manyfaces.serving import parquet as parquet_module
from manyfaces.serving.parquet import publish_parquet


@pytest.fixture
def warehouse(tmp_path):
    return write_warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def folder(warehouse, tmp_path):
    return publish_parquet(warehouse, tmp_path / "serving_parquet").path


def builds(folder):
    return list(folder.with_name(f"{folder.name}_builds").iterdir())


def test_each_mart_is_a_file_with_its_types_and_descriptions(warehouse, tmp_path):
    published = publish_parquet(warehouse, tmp_path / "serving_parquet")
    assert published.rows == {"build_info": 1, "counts": 1, "people": 3}
    assert sorted(path.name for path in published.path.iterdir()) == [
        "build_info.parquet",
        "counts.parquet",
        "people.parquet",
    ]
    people = published.path / "people.parquet"
    schema = pq.read_schema(people)
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "user_key": "int64",
        "name": "string",
        "spend": "decimal128(12, 2)",
        "born_on": "date32[day]",
        "build": "int32",
    }
    assert pl.read_parquet(people)["spend"].to_list() == [Decimal("1.50")] * 3
    assert {
        pq.read_metadata(people).row_group(0).column(index).compression for index in range(5)
    } == {"ZSTD"}
    metadata = {key.decode(): value.decode() for key, value in pq.read_metadata(people).metadata.items()}
    assert metadata["description"] == "one row per user's key"
    assert json.loads(metadata["columns"])["user_key"] == "键: a pseudonym"
    assert json.loads(metadata["key"]) == ["user_key"]
    assert (metadata["run_id"], metadata["built_at"]) == ("run-1", "2026-01-01T12:01:00.250000")


def test_an_empty_table_has_its_columns(warehouse, tmp_path):
    change(warehouse, "delete from marts.people")
    folder = publish_parquet(warehouse, tmp_path / "serving_parquet").path
    assert pq.read_table(folder / "people.parquet").schema.field("born_on").type == pa.date32()


READER = """
import select, sys
from pathlib import Path
import duckdb

print("ready", flush=True)
reads, builds = 0, set()
while not select.select([sys.stdin], [], [], 0)[0]:
    folder = Path(sys.argv[1]).resolve()
    with duckdb.connect() as connection:
        def ask(table, what):
            return connection.execute(f"select {what} from '{folder}/{table}.parquet'").fetchall()[0]
        (run_id,), (people, build), (counted,) = (
            ask("build_info", "run_id"), ask("people", "count(*), max(build)"), ask("counts", "people")
        )
    assert (run_id, people, counted) == (f"run-{build}", 10 + build, 10 + build), (run_id, people, counted)
    reads += 1
    builds.add(build)
print(reads, len(builds), flush=True)
"""


def test_a_reader_that_follows_the_link_once_never_sees_two_builds(warehouse, folder):
    publish_parquet(write_warehouse(warehouse, rows=10, number=0), folder)
    with other_process(READER, folder) as reader:
        assert reader.stdout.readline() == "ready\n"
        for number in range(1, 16):
            write_warehouse(warehouse, rows=10 + number, number=number)
            publish_parquet(warehouse, folder)
        reads, seen = reader.communicate()[0].split()
    assert reader.returncode == 0
    assert int(reads) > 5
    assert int(seen) > 3


def test_the_build_before_stays_for_those_who_read_it_and_older_ones_go(warehouse, folder):
    first = folder.resolve()
    publish_parquet(write_warehouse(warehouse, number=2), folder)
    second = folder.resolve()
    assert set(builds(folder)) == {first, second}
    assert duckdb.sql(f"select run_id from '{first}/build_info.parquet'").fetchall() == [("run-1",)]
    publish_parquet(write_warehouse(warehouse, number=3), folder)
    assert set(builds(folder)) == {second, folder.resolve()}


def test_a_kill_before_the_swap_leaves_the_old_build_and_the_next_publish_cleans_up(
    warehouse, folder, tmp_path
):
    before = folder.resolve()
    code = (
        "import os, signal, sys\n"
        "from manyfaces.serving.parquet import publish_parquet\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "publish_parquet(sys.argv[1], sys.argv[2])\n"
    )
    with other_process(code, warehouse, folder) as killed:
        killed.communicate()
    assert killed.returncode == -9
    assert folder.resolve() == before
    assert len(builds(folder)) == 2

    publish_parquet(warehouse, folder)
    assert set(builds(folder)) == {before, folder.resolve()}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "serving_parquet",
        "serving_parquet_builds",
        "warehouse.duckdb",
    ]


def test_files_that_differ_from_the_warehouse_are_thrown_away(warehouse, folder, monkeypatch):
    before = folder.resolve()
    write = parquet_module._write

    def damaged(warehouse, table, *rest):
        write(warehouse, table, *rest)
        if table.name == "people":
            path = rest[-1] / "people.parquet"
            duckdb.sql(f"copy (from '{path}' where user_key <> 1) to '{path}'")

    monkeypatch.setattr(parquet_module, "_write", damaged)
    with pytest.raises(UserError, match="not whole"):
        publish_parquet(warehouse, folder)
    assert builds(folder) == [before] == [folder.resolve()]


def test_a_build_that_is_not_whole_is_written_on_demand_only(warehouse, tmp_path):
    write_warehouse(warehouse, problem="people could not be made")
    with pytest.raises(UserError, match="people could not be made"):
        publish_parquet(warehouse, tmp_path / "serving_parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]
    publish_parquet(warehouse, tmp_path / "serving_parquet", allow_incomplete=True)


def test_a_folder_of_someone_else_is_not_replaced(warehouse, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(UserError, match="own was not made by publishing: name another folder with --to"):
        publish_parquet(warehouse, own)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "warehouse.duckdb"]
