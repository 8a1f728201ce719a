"""What a whole build publishes can be shown to anybody, and read by every program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from integration.data import RAW_ID
from integration.harness import KEY, PROJECT
from manyfaces.serving.file import publish


@pytest.fixture(scope="module")
def published(crowd, tmp_path_factory):
    return publish(crowd[0].database, tmp_path_factory.mktemp("published") / "serving.duckdb")


@pytest.fixture(scope="module")
def serving(published):
    with duckdb.connect(published.path, read_only=True) as connection:
        yield lambda query, *parameters: connection.execute(query, list(parameters)).fetchall()


COLUMNS = "select table_name, column_name, data_type from duckdb_columns() where not internal"


def test_a_build_with_all_its_tests_is_published_whole(crowd, published, serving):
    assert published.build.state == "whole"
    models = crowd[1].rows(
        "select table_name from builds.nodes "
        "where schema_name = 'marts' and resource_type = 'model' order by 1"
    )
    assert list(published.rows) == [name for (name,) in models]
    assert serving("select run_id from marts.build_info") == crowd[1].rows(
        "select run_id from builds.runs order by number desc limit 1"
    )


def test_only_the_marts_are_there_each_with_its_comments(serving):
    assert serving("select distinct schema_name from duckdb_tables()") == [("marts",)]
    assert serving("select view_name from duckdb_views() where not internal") == []
    assert serving("select table_name from duckdb_tables() where coalesce(comment, '') = ''") == []
    assert len(serving(COLUMNS)) > 300
    assert serving(f"{COLUMNS} and coalesce(comment, '') = ''") == []


def test_every_column_has_a_type_that_every_program_knows(serving):
    plain = re.compile(r"VARCHAR|BOOLEAN|SMALLINT|INTEGER|BIGINT|DOUBLE|DATE|TIMESTAMP|DECIMAL\(\d+,\d+\)")
    assert [column for column in serving(COLUMNS) if not plain.fullmatch(column[2])] == []


def test_the_key_of_every_mart_is_known(crowd):
    assert (
        crowd[1].rows(
            "select table_name from builds.nodes "
            "where schema_name = 'marts' and resource_type = 'model' and key_columns is null"
        )
        == []
    )


def test_neither_the_key_nor_a_raw_id_is_published(published, serving):
    content = published.path.read_bytes()
    assert [secret for secret in (KEY, RAW_ID) if secret.encode() in content] == []
    # Compressed values do not show in the bytes.
    for text in (KEY, RAW_ID):
        holding = [
            (table, column)
            for table, column, _ in serving(COLUMNS)
            if serving(
                f'select count(*) from marts."{table}" where contains(cast("{column}" as varchar), ?)', text
            )[0][0]
        ]
        assert holding == []


def other_duckdb() -> Path | None:
    """Return a Python with another major version of DuckDB, as CONTRIBUTING.md has one made."""
    places = [
        os.environ.get("OTHER_DUCKDB_PYTHON"),
        PROJECT / "build/duckdb2/bin/python",
        PROJECT / ".venv/bin/python",
    ]
    major = duckdb.__version__.split(".")[0]
    for python in filter(None, places):
        if Path(python).is_file():
            ask = [python, "-c", "import duckdb; print(duckdb.__version__)"]
            done = subprocess.run(ask, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.split(".")[0] != major:
                return Path(python)
    return None


def test_another_major_version_of_duckdb_reads_the_same(published):
    python = other_duckdb()
    if python is None:
        pytest.skip(f"there is only DuckDB {duckdb.__version__}: make env DUCKDB=2 VENV=build/duckdb2")
    code = (
        "import duckdb, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True) as connection:\n"
        "    tables = connection.execute('select table_name, comment from duckdb_tables() order by 1')\n"
        "    for table, comment in tables.fetchall():\n"
        "        rows = connection.execute(f'select count(*), max(entry) from marts.{table} as entry')\n"
        "        print(table, comment, rows.fetchall())\n"
    )
    read = [
        subprocess.run([one, "-c", code, published.path], capture_output=True, text=True, check=True).stdout
        for one in (sys.executable, python)
    ]
    assert read[0] == read[1]
    assert "user_recommendations" in read[0]
