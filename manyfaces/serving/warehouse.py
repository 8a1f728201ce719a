"""The warehouse as publishing sees it: the marts, and which build they are."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from manyfaces.errors import UserError

SCHEMA = "marts"
# What macros/build_record.sql writes.
_RECORD = "builds"


@dataclass(frozen=True)
class Column:
    """A column as DuckDB knows it."""

    name: str
    type: str
    comment: str | None


@dataclass(frozen=True)
class Table:
    """A table or view of the marts."""

    name: str
    comment: str | None
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Build:
    """Which build the marts are; see the mart build_info."""

    run_id: str
    built_at: datetime
    state: str

    def __str__(self) -> str:
        """Say it in words."""
        return f"build of {self.built_at:%Y-%m-%d %H:%M:%S} UTC ({self.state})"

    @property
    def stamp(self) -> str:
        """The time of the build, for names of files."""
        return f"{self.built_at:%Y-%m-%d_%H%M%S_%f}"


class Marts:
    """The marts in an open DuckDB database: the warehouse, or what was published of it. Only reads."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str | None = None) -> None:
        """Look at the database of that name in a connection, by default at the current one."""
        self._connection = connection
        self.database = database or self.rows("select current_database()")[0][0]

    def rows(self, query: str) -> list[tuple]:
        """Return the rows of a query. It has no parameters, because those have DuckDB load pandas."""
        return self._connection.execute(query).fetchall()

    def abandon(self) -> None:
        """End the transaction that is open, if there is one, as if it had not been."""
        with suppress(duckdb.Error):
            self._connection.rollback()

    def relation(self, table: str, schema: str = SCHEMA) -> str:
        """Return the full name of a table, for queries."""
        return ".".join(map(identifier, (self.database, schema, table)))

    def build(self) -> Build:
        """Return which build the marts are.

        Raises:
            UserError: there are no marts, or they do not say it.
        """
        tables = {table.name for table in self.all_tables()}
        try:
            said = (
                self.rows(f"select run_id, built_at, state from {self.relation('build_info')}")
                if "build_info" in tables
                else []
            )
        except duckdb.BinderException as error:
            # In the warehouse it is a view, which names the database.
            raise UserError(
                f"{self.database}.duckdb has another name than when it was written: give that back to it"
            ) from error
        if not said:
            what = "does not say which build it holds" if tables else f"has no {SCHEMA} yet"
            raise UserError(f"{self.database}.duckdb {what}: run `manyfaces build` first")
        return Build(*said[0])

    def problem(self) -> str | None:
        """Return why the marts of a warehouse are no whole build, if that is known."""
        is_recorded = self.rows(
            f"select 1 from duckdb_tables() where database_name = {literal(self.database)} "
            f"and schema_name = '{_RECORD}' and table_name = 'runs'"
        )
        if not is_recorded:
            return None
        command, started_at, ended_at, problem = self.rows(
            "select command, started_at, ended_at, problem "
            f"from {self.relation('runs', _RECORD)} order by number desc limit 1"
        )[0]
        if ended_at is None:
            return f"the last run (dbt {command}, {started_at:%Y-%m-%d %H:%M:%S} UTC) did not end"
        return problem

    def tables(self) -> list[Table]:
        """Return the tables and views that the project makes, in order of name."""
        keys = self.keys()
        return [table for table in self.all_tables() if table.name in keys]

    def left_out(self) -> list[str]:
        """Return what an earlier state of the project left in the schema of the marts."""
        keys = self.keys()
        return [table.name for table in self.all_tables() if table.name not in keys]

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Return what dbt tests as the key of each mart of the project, if anything."""
        return {
            table: tuple(key or ())
            for table, key in self.rows(
                f"select table_name, key_columns from {self.relation('nodes', _RECORD)} "
                f"where schema_name = '{SCHEMA}' and resource_type = 'model'"
            )
        }

    def content(self, table: Table, copy: str | None = None) -> tuple[int, int]:
        """Return the rows of a table, or of a copy of it, and a sum that others would not have."""
        columns = ", ".join(identifier(column.name) for column in table.columns)
        return self.rows(
            f"select count(*), coalesce(sum(cast(hash({columns}) as hugeint)), 0) "
            f"from {copy or self.relation(table.name)}"
        )[0]

    def all_tables(self) -> list[Table]:
        """Return every table and view in the schema of the marts, in order of name."""
        place = f"database_name = {literal(self.database)} and schema_name = '{SCHEMA}'"
        columns: dict[str, list[Column]] = {}
        for table, *column in self.rows(
            f"select table_name, column_name, data_type, comment from duckdb_columns() where {place} "
            "order by table_name, column_index"
        ):
            columns.setdefault(table, []).append(Column(*column))
        tables = self.rows(
            f"select table_name, comment from duckdb_tables() where {place} and not temporary "
            f"union all select view_name, comment from duckdb_views() where {place} and not temporary "
            "order by 1"
        )
        return [Table(name, comment, tuple(columns[name])) for name, comment in tables]


def whole_build(warehouse: Marts, allow_incomplete: bool = False) -> Build:
    """Return which build a warehouse holds, if it may be published.

    Raises:
        UserError: the last run failed, did not end, or left tables behind, and that is not allowed; or there
            is nothing to publish.
    """
    problem = warehouse.problem()
    if problem and not allow_incomplete:
        raise UserError(
            f"{warehouse.database}.duckdb holds no whole build, so nothing was published: {problem}. Run "
            "`manyfaces build`, or publish the tables as they are with --allow-incomplete"
        )
    return warehouse.build()


@contextmanager
def open_warehouse(path: Path | str) -> Iterator[Marts]:
    """Open the file that dbt writes, to read it. Nobody may be writing it.

    Raises:
        UserError: there is no such file.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise UserError(f"there is no {path.name} to publish: run `manyfaces build` first")
    # Nothing is ever downloaded.
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        # Views name their database, so it has to go by the name that dbt knew it by.
        warehouse = Marts(connection, path.stem)
        warehouse.rows(f"attach {literal(str(path))} as {identifier(path.stem)} (read_only)")
        yield warehouse


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"
