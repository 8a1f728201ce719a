"""Raw user ids and the key stay where they belong."""

import duckdb
import pytest

from integration.data import CROWD, ERASED, NONE, ONE, RAW_ID, THREE
from integration.harness import KEY, rejected
from manyfaces.pseudonyms import user_key


def written_files(workspace):
    found = [
        path
        for folder in ("target", "logs", "store")
        for path in (workspace.folder / folder).rglob("*")
        if path.is_file()
    ]
    assert {"manifest.json", "run_results.json", "dbt.log", "partial_parse.msgpack"} <= {
        path.name for path in found
    }
    return found


@pytest.mark.parametrize("secret", [KEY, RAW_ID], ids=["the key", "a raw id"])
def test_no_written_file_holds(crowd, secret):
    workspace, build = crowd
    assert [path.name for path in written_files(workspace) if secret.encode() in path.read_bytes()] == []
    assert secret not in build.output


def test_the_key_is_not_in_the_database_file(crowd):
    assert KEY.encode() not in crowd[0].database.read_bytes()


def columns(connection, is_raw_schema):
    return connection.execute(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where database_name = 'warehouse' and not internal and (schema_name in ('inputs', 'staging')) = ?",
        [is_raw_schema],
    ).fetchall()


def holding(connection, text, is_raw_schema):
    """Return the columns of tables and views that hold the text in some row, nested values included."""
    return {
        f"{schema}.{table}.{column}"
        for schema, table, column in columns(connection, is_raw_schema)
        if connection.execute(
            f'select count(*) from {schema}.{table} where contains("{column}"::varchar, ?)', [text]
        ).fetchall()[0][0]
    }


def test_raw_ids_are_in_the_inputs_and_in_the_table_of_keys_only(crowd):
    with duckdb.connect(crowd[1].database, read_only=True) as connection:
        assert len(columns(connection, False)) > 300
        assert holding(connection, RAW_ID, False) == set()
        assert {name for name in holding(connection, RAW_ID, True) if not name.startswith("inputs.")} == {
            "staging.stg_user_keys.user_id",
            "staging.stg_erasures.user_id",
        }


def test_a_user_key_is_the_documented_pseudonym(crowd):
    expected = {(user_id, user_key(user_id, KEY)) for user_id in (*CROWD, NONE, ONE, THREE)}
    found = set(crowd[1].rows("select user_id, user_key from staging.stg_user_keys"))
    assert expected <= found
    assert len(found) == len(expected) + 1


def test_an_erased_user_is_nowhere_behind_the_inputs_and_the_rows_are_accounted_for(crowd):
    with duckdb.connect(crowd[1].database, read_only=True) as connection:
        assert holding(connection, user_key(ERASED, KEY), False) == set()
        assert holding(connection, user_key(ERASED, KEY), True) == set()
        assert {name for name in holding(connection, ERASED, True) if not name.startswith("inputs.")} == {
            "staging.stg_erasures.user_id"
        }
    assert rejected(crowd[1])["erased_user"] == 8
