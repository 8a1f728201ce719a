"""Copies the marts into the file that people and BI tools open, and swaps it in whole.

dbt keeps warehouse.duckdb locked while it writes; DuckDB lets one process write or many read. So readers
get a file of their own, written beside the old one and renamed over it: whoever has the old one open keeps
a whole old build, whoever opens it next sees a whole new one, and a kill in between leaves the old one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from manyfaces.errors import UserError
from manyfaces.serving.disk import flush, publishing, sha256
from manyfaces.serving.kept import keep_build, remove_oldest
from manyfaces.serving.warehouse import (
    SCHEMA,
    Build,
    Marts,
    Table,
    identifier,
    literal,
    open_warehouse,
    whole_build,
)

# Every DuckDB from 1.0 on can open it, whichever version wrote it.
STORAGE_VERSION = "v1.0.0"
_COPY = "published"


@dataclass(frozen=True)
class Published:
    """What a publish wrote: the file, its rows by table (in order of name), its size and checksum.

    Tables that no model of the project makes are left out.
    """

    path: Path
    build: Build
    rows: dict[str, int]
    bytes: int
    sha256: str
    left_out: list[str]

    def __str__(self) -> str:
        """Say it in a line."""
        rows, size = sum(self.rows.values()), self.bytes / 1e6
        noun = "table" if len(self.rows) == 1 else "tables"
        told = f"{self.path}: {len(self.rows)} {noun}, {rows:,} rows, {size:.1f} MB, {self.build}"
        if self.left_out:
            told += f"; left out, as no model makes it any more: {', '.join(self.left_out)}"
        return told


def publish(
    source: Path | str, target: Path | str, *, kept_builds: int = 0, allow_incomplete: bool = False
) -> Published:
    """Copy the marts of a warehouse, with their comments, into a file of their own.

    Args:
        source: the DuckDB file that dbt writes. It is only read, but nobody may be writing it.
        target: the file to replace. The new one is written in its folder first.
        kept_builds: how many of the builds before this one stay.
        allow_incomplete: publish also what is no whole build.

    Raises:
        UserError: the source is missing, in use, or holds no whole build; the target cannot be written.
    """
    source, target = Path(source).absolute(), Path(target).absolute()
    if source == target:
        raise UserError(f"{source.name} cannot be published over itself: give another name with --to")
    with publishing(target, source) as unfinished, open_warehouse(source) as warehouse:
        return _publish(warehouse, target, unfinished, kept_builds, allow_incomplete)


def publish_open(warehouse: Marts, target: Path, *, kept_builds: int = 0) -> Published:
    """Do the same from a warehouse that this process has open already, as dbt has it while it runs."""
    with publishing(target, Path(f"{warehouse.database}.duckdb")) as unfinished:
        return _publish(warehouse, target, unfinished, kept_builds, allow_incomplete=False)


def checksum_file(target: Path) -> Path:
    """Return the file with the checksum of a published file, as sha256sum -c reads it."""
    return target.with_name(target.name + ".sha256")


def _publish(
    warehouse: Marts, target: Path, unfinished: Path, kept_builds: int, allow_incomplete: bool
) -> Published:
    build = whole_build(warehouse, allow_incomplete)
    tables = warehouse.tables()
    _copy(warehouse, tables, unfinished)
    rows = _verify(warehouse, tables, unfinished)
    flush(unfinished)
    size, checksum = unfinished.stat().st_size, sha256(unfinished)
    new_checksum = unfinished.with_name(unfinished.name + ".sha256")
    new_checksum.write_text(f"{checksum}  {target.name}\n")
    flush(new_checksum)
    keep_build(target, build, kept_builds, unfinished)
    # Two files cannot be renamed at once: in between there is no checksum, never a wrong one.
    checksum_file(target).unlink(missing_ok=True)
    # What someone who opened the old file for writing never saved must not meet the new one.
    _write_ahead_log(target).unlink(missing_ok=True)
    os.replace(unfinished, target)
    flush(target.parent)
    os.replace(new_checksum, checksum_file(target))
    flush(target.parent)
    if sha256(target) != checksum:
        raise UserError(f"{target.name} is not what was written: see who else writes it, and publish again")
    remove_oldest(target, kept_builds)
    return Published(target, build, rows, size, checksum, warehouse.left_out())


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _copy(warehouse: Marts, tables: list[Table], path: Path) -> None:
    """Write the marts into a new file. Views become tables, because what they read is not published."""
    warehouse.rows(f"attach {literal(str(path))} as {_COPY} (storage_version '{STORAGE_VERSION}')")
    try:
        # In one transaction, since every commit waits for the disk.
        warehouse.rows("begin")
        warehouse.rows(f"create schema {_COPY}.{SCHEMA}")
        for table in tables:
            copy = f"{_COPY}.{SCHEMA}.{identifier(table.name)}"
            warehouse.rows(f"create table {copy} as select * from {warehouse.relation(table.name)}")
            if table.comment is not None:
                warehouse.rows(f"comment on table {copy} is {literal(table.comment)}")
            for column in table.columns:
                if column.comment is not None:
                    place = f"{copy}.{identifier(column.name)}"
                    warehouse.rows(f"comment on column {place} is {literal(column.comment)}")
        warehouse.rows("commit")
        warehouse.rows(f"checkpoint {_COPY}")
    except BaseException:
        warehouse.abandon()
        raise
    finally:
        warehouse.rows(f"detach {_COPY}")


def _verify(warehouse: Marts, tables: list[Table], path: Path) -> dict[str, int]:
    """Open the finished copy as a reader would, hold it against the warehouse, and count its rows."""
    expected = {table: warehouse.content(table) for table in tables}
    with duckdb.connect(path, read_only=True) as connection:
        copy = Marts(connection)
        schemas = copy.rows("select distinct schema_name from duckdb_tables() where not internal")
        found = {table: copy.content(table) for table in copy.all_tables()}
    if schemas != [(SCHEMA,)] or found != expected or _write_ahead_log(path).exists():
        raise UserError(f"the copy of the {SCHEMA} is not whole and was thrown away: publish once more")
    return {table.name: rows for table, (rows, _) in expected.items()}
