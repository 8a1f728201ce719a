"""Copies the marts into the file that people and BI tools open, and swaps it in whole.

dbt keeps warehouse.duckdb locked while it writes; DuckDB lets one process write or many read. So readers
get a file of their own, written beside the old one and renamed over it: whoever has the old one open keeps
a whole old build, whoever opens it next sees a whole new one, and a kill in between leaves the old one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from manyfaces.errors import UserError, database_error

SCHEMA = "marts"
# Every DuckDB from 1.0 on can open it, whichever version wrote it.
STORAGE_VERSION = "v1.0.0"
_COPY = "published"


@dataclass(frozen=True)
class Published:
    """What a publish wrote: the file, its rows by table (in order of name) and its size."""

    path: Path
    rows: dict[str, int]
    bytes: int


def publish(source: Path | str, target: Path | str, schema: str = SCHEMA) -> Published:
    """Copy one schema of a warehouse, with its comments, into a file of its own, in place of the last one.

    Views are copied as tables, because what they read is not published.

    Args:
        source: the DuckDB file that dbt writes. It is only read, but nobody may be writing it.
        target: the file to replace. The temporary copy is written in its folder.
        schema: the schema to copy.

    Raises:
        UserError: the source is missing, in use, or holds no such table; the target cannot be written.
    """
    source, target = Path(source).absolute(), Path(target).absolute()
    if not source.is_file():
        raise UserError(f"there is no {source.name} to publish: run `manyfaces build` first")
    if source == target:
        raise UserError(f"{source.name} cannot be published over itself: give another name with --to")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent} to publish into: create it, or change --to")
    _remove_leftovers(target)
    copy = _temporary(target)
    try:
        rows = _copy_schema(source, copy, schema)
        _verify(copy, rows, schema)
        _flush(copy)
        size = copy.stat().st_size
        # What someone who opened the old file for writing never saved must not meet the new one.
        _write_ahead_log(target).unlink(missing_ok=True)
        os.replace(copy, target)
        _flush(target.parent)
    except duckdb.Error as error:
        raise database_error(error) or UserError(f"{source.name} could not be published: {error}") from error
    except OSError as error:
        raise UserError(f"{target.name} could not be written: {error.strerror or error}") from error
    finally:
        copy.unlink(missing_ok=True)
        _write_ahead_log(copy).unlink(missing_ok=True)
    return Published(target, rows, size)


def _temporary(target: Path) -> Path:
    """Return this process's temporary name for the target."""
    return target.with_name(f"{target.name}.tmp-{os.getpid()}")


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _remove_leftovers(target: Path) -> None:
    """Remove what publishes left behind that were killed; a publish that still runs keeps its file."""
    for leftover in target.parent.glob(f"{target.name}.tmp-*"):
        process = leftover.name.removeprefix(f"{target.name}.tmp-").removesuffix(".wal")
        if process.isdigit() and (int(process) == os.getpid() or not _is_running(int(process))):
            leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _copy_schema(source: Path, copy: Path, schema: str) -> dict[str, int]:
    """Write the copy and return the rows of each table, as counted in the source."""
    # Views name their database, so the source has to go by the name that dbt knew it by.
    warehouse = source.stem
    rows = {}
    with duckdb.connect(":memory:") as connection:

        def run(query: str, *parameters: str) -> list[tuple]:
            return connection.execute(query, list(parameters)).fetchall()

        run(f"attach {_literal(str(source))} as {_identifier(warehouse)} (read_only)")
        tables = run(
            """
            select table_name, comment from duckdb_tables()
            where database_name = $1 and schema_name = $2 and not internal and not temporary
            union all
            select view_name, comment from duckdb_views()
            where database_name = $1 and schema_name = $2 and not internal and not temporary
            order by 1
            """,
            warehouse,
            schema,
        )
        if not tables:
            raise UserError(f"{source.name} has no {schema} yet: run `manyfaces build` first")
        run(f"attach {_literal(str(copy))} as {_COPY} (storage_version '{STORAGE_VERSION}')")
        run(f"create schema {_COPY}.{_identifier(schema)}")
        for table, comment in tables:
            original = f"{_identifier(warehouse)}.{_identifier(schema)}.{_identifier(table)}"
            published = f"{_COPY}.{_identifier(schema)}.{_identifier(table)}"
            run(f"create table {published} as select * from {original}")
            rows[table] = run(f"select count(*) from {original}")[0][0]
            if comment is not None:
                run(f"comment on table {published} is {_literal(comment)}")
        comments = run(
            """
            select table_name, column_name, comment from duckdb_columns()
            where database_name = $1 and schema_name = $2 and comment is not null
            order by table_name, column_index
            """,
            warehouse,
            schema,
        )
        for table, column, comment in comments:
            place = f"{_COPY}.{_identifier(schema)}.{_identifier(table)}.{_identifier(column)}"
            run(f"comment on column {place} is {_literal(comment)}")
        run(f"detach {_COPY}")
    return rows


def _verify(copy: Path, rows: dict[str, int], schema: str) -> None:
    """Open the finished copy as a reader would, and hold it against what it was copied from."""
    with duckdb.connect(copy, read_only=True) as connection:
        schemas = connection.execute(
            "select distinct schema_name from duckdb_tables() where not internal"
        ).fetchall()
        found = {
            table: connection.execute(
                f"select count(*) from {_identifier(schema)}.{_identifier(table)}"
            ).fetchall()[0][0]
            for table in rows
        }
    if schemas != [(schema,)] or found != rows or _write_ahead_log(copy).exists():
        raise UserError(f"the copy of the {schema} is not whole and was thrown away: publish once more")


def _flush(path: Path) -> None:
    """Make a file, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
