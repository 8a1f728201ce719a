"""Writes every mart as a Parquet file into a folder, and swaps the folder in whole.

The folder is a link to one build among those in <folder>_builds. Who follows the link once, and reads from where
it leads, reads one build, however many are published meanwhile; the build before the newest stays for them.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from manyfaces.errors import UserError
from manyfaces.serving.disk import flush, publishing
from manyfaces.serving.warehouse import Build, Marts, Table, literal, open_warehouse, whole_build


@dataclass(frozen=True)
class PublishedFolder:
    """What a publish wrote: the folder, its rows by table (in order of name), and its size."""

    path: Path
    build: Build
    rows: dict[str, int]
    bytes: int

    def __str__(self) -> str:
        """Say it in a line."""
        rows, size = sum(self.rows.values()), self.bytes / 1e6
        noun = "file" if len(self.rows) == 1 else "files"
        return f"{self.path}: {len(self.rows)} {noun}, {rows:,} rows, {size:.1f} MB, {self.build}"


def publish_parquet(
    source: Path | str, target: Path | str, *, allow_incomplete: bool = False
) -> PublishedFolder:
    """Write the marts of a warehouse as Parquet files, one a table, compressed with zstd.

    The metadata of each file has `description`, `columns` (descriptions by column, as JSON), `key` (the columns
    that make a row unique, as JSON), `run_id` and `built_at`.

    Args:
        source: the DuckDB file that dbt writes. It is only read, but nobody may be writing it.
        target: the folder to replace; a link to the newest build.
        allow_incomplete: publish also what is no whole build.

    Raises:
        UserError: the source is missing, in use, or holds no whole build; the target cannot be written, or
            holds something else.
    """
    source, target = Path(source).absolute(), Path(target).absolute()
    builds = target.with_name(f"{target.name}_builds")
    if target.exists() and not target.is_symlink():
        raise UserError(f"{target} was not made by publishing: name another folder with --to")
    with publishing(target, source) as unfinished, open_warehouse(source) as warehouse:
        build = whole_build(warehouse, allow_incomplete)
        keys = warehouse.keys()
        builds.mkdir(exist_ok=True)
        before = target.resolve() if target.exists() else None
        folder = builds / f"{build.stamp}_{uuid4().hex[:8]}"
        folder.mkdir()
        try:
            tables = warehouse.tables()
            for table in tables:
                _write(warehouse, table, keys[table.name], build, folder)
            rows = _verify(warehouse, tables, folder)
            flush(folder)
            flush(builds)
            unfinished.symlink_to(os.path.relpath(folder, target.parent), target_is_directory=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        os.replace(unfinished, target)
        flush(target.parent)
        _remove_others(builds, {folder, before})
        size = sum(path.stat().st_size for path in folder.iterdir())
    return PublishedFolder(target, build, rows, size)


def _write(warehouse: Marts, table: Table, key: tuple[str, ...], build: Build, folder: Path) -> None:
    """Write one table. DuckDB keeps no comments in Parquet, so they go into the metadata."""
    metadata = {
        "description": table.comment or "",
        "columns": json.dumps({column.name: column.comment for column in table.columns}, ensure_ascii=False),
        "key": json.dumps(key),
        "run_id": build.run_id,
        "built_at": build.built_at.isoformat(),
    }
    pairs = ", ".join(f"{name}: {literal(text)}" for name, text in metadata.items())
    path = _file(folder, table)
    warehouse.rows(
        f"copy (from {warehouse.relation(table.name)}) to {literal(str(path))} "
        f"(format parquet, compression zstd, kv_metadata {{{pairs}}})"
    )
    flush(path)


def _verify(warehouse: Marts, tables: list[Table], folder: Path) -> dict[str, int]:
    """Read the finished files, hold them against the warehouse, and count their rows."""
    expected = {table.name: warehouse.content(table) for table in tables}
    found = {
        table.name: warehouse.content(table, f"read_parquet({literal(str(_file(folder, table)))})")
        for table in tables
    }
    if found != expected:
        raise UserError(f"the files in {folder.name} are not whole and were thrown away: publish once more")
    return {name: rows for name, (rows, _) in expected.items()}


def _file(folder: Path, table: Table) -> Path:
    return folder / f"{table.name}.parquet"


def _remove_others(builds: Path, wanted: set[Path | None]) -> None:
    """Remove builds that nobody reads any more, and what killed publishes left of theirs."""
    for path in builds.iterdir():
        if path not in wanted and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
