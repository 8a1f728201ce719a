"""Copies the marts into a Postgres server, and swaps the schema in whole.

One transaction loads the new tables into a schema that nobody reads. Another locks the old tables, drops
them and renames the schema: whoever asks at that moment waits for its end. They are two, so that the new rows
are there for a reader who took his snapshot before the swap and looks the tables up after it.
"""

import importlib.resources
import os
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb

from manyfaces.errors import UserError, database_error
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

_PACKAGE = "duckdb_extension_postgres_scanner"
_SERVER = "server"
_LOADING = f"{SCHEMA}_loading"
# How a schema says that it is ours to replace.
_MARK = "Published by Manyfaces: every publish replaces this schema with all that is in it."
# Two publishes at a time would meet in the same schema. Any number does, if nobody else uses it.
_ADVISORY_LOCK = 7_305_042_118


@dataclass(frozen=True)
class PublishedSchema:
    """What a publish wrote: where, and its rows by table (in order of name)."""

    place: str
    build: Build
    rows: dict[str, int]
    reader: str | None

    def __str__(self) -> str:
        """Say it in a line."""
        rows = sum(self.rows.values())
        noun = "table" if len(self.rows) == 1 else "tables"
        read = f", read by {self.reader}" if self.reader else ""
        return f"{self.place}: {len(self.rows)} {noun}, {rows:,} rows, {self.build}{read}"


def publish_postgres(
    source: Path | str,
    *,
    reader: str | None = None,
    allow_incomplete: bool = False,
    settle_seconds: float = 1,
    patience_seconds: float = 60,
) -> PublishedSchema:
    """Copy the marts of a warehouse into the schema marts of a Postgres server.

    The server is the one that psql would connect to: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD and the
    other variables of libpq, or its password file.

    Args:
        source: the DuckDB file that dbt writes. It is only read, but nobody may be writing it.
        reader: a role that may read the tables. It has to be there.
        allow_incomplete: publish also what is no whole build.
        settle_seconds: how old the new rows are before anybody can find them, so that a reader who has taken
            his snapshot, but not yet looked the tables up, does not find them empty (in repeatable read).
        patience_seconds: how long to wait for readers that keep the old tables locked.

    Raises:
        UserError: the source is missing, in use, or holds no whole build; the server cannot be reached, or
            refuses; the role or DuckDB's extension is missing.
    """
    with open_warehouse(source) as warehouse:
        build = whole_build(warehouse, allow_incomplete)
        _load_extension(warehouse)
        os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
        try:
            warehouse.rows(f"attach '' as {_SERVER} (type postgres)")
            place, rows = _load(warehouse, reader)
            _swap(warehouse, settle_seconds, patience_seconds)
            return PublishedSchema(place, build, rows, reader)
        except duckdb.Error as error:
            raise _server_error(error) or database_error(error) or UserError(str(error)) from error


def _load_extension(warehouse: Marts) -> None:
    """Load DuckDB's postgres extension from where its package is; nothing is downloaded."""
    version = warehouse.rows("select library_version from pragma_version()")[0][0]
    try:
        folder = Path(str(importlib.resources.files(_PACKAGE)))
    except ModuleNotFoundError:
        folder = None
    file = folder and folder / "extensions" / version / "postgres_scanner.duckdb_extension"
    if not file or not file.is_file():
        raise UserError(
            f"publishing to Postgres needs the package {_PACKAGE.replace('_', '-')} in the version of "
            f"DuckDB, which is {version.removeprefix('v')}: install it (`make env` does)"
        )
    warehouse.rows(f"load {literal(str(file))}")


def _load(warehouse: Marts, reader: str | None) -> tuple[str, dict[str, int]]:
    """Load the marts into a schema that nobody reads; return the database's name, and rows by table."""
    tables = warehouse.tables()
    keys = warehouse.keys()
    warehouse.rows("begin")
    try:
        place = _refuse(warehouse, reader)
        warehouse.rows(f"drop schema if exists {_SERVER}.{_LOADING} cascade")
        warehouse.rows(f"create schema {_SERVER}.{_LOADING}")
        _execute(warehouse, f"comment on schema {_LOADING} is {literal(_MARK)}")
        for table in tables:
            copy = f"{_SERVER}.{_LOADING}.{identifier(table.name)}"
            warehouse.rows(f"create table {copy} as from {warehouse.relation(table.name)}")
            _execute(warehouse, "; ".join(_describe(table, keys[table.name])))
        rows = _verify(warehouse, tables)
        if reader:
            _execute(
                warehouse,
                f"grant usage on schema {_LOADING} to {identifier(reader)}; "
                f"grant select on all tables in schema {_LOADING} to {identifier(reader)}",
            )
        warehouse.rows("commit")
    except BaseException:
        warehouse.abandon()
        raise
    return place, rows


def _execute(warehouse: Marts, statements: str) -> None:
    """Run statements of Postgres, in the open transaction or in one of their own."""
    warehouse.rows(f"call postgres_execute('{_SERVER}', {literal(statements)})")


def _ask(warehouse: Marts, query: str) -> list[tuple]:
    """Return the rows of a query of Postgres in the open transaction."""
    return warehouse.rows(f"select * from postgres_query('{_SERVER}', {literal(query)})")


def _refuse(warehouse: Marts, reader: str | None) -> str:
    """Return a name of the database, once it is certain that it can be published into."""
    place, is_alone, foreign_schemas = _ask(
        warehouse,
        f"""
        select
            current_database() || coalesce(' on ' || host(inet_server_addr()), '') as place,
            pg_try_advisory_xact_lock({_ADVISORY_LOCK}) as is_alone,
            (
                select string_agg(nspname, ', ' order by nspname)
                from pg_namespace
                where
                    nspname in ('{SCHEMA}', '{_LOADING}')
                    and obj_description(oid, 'pg_namespace') is distinct from {literal(_MARK)}
            ) as foreign_schemas
        """,
    )[0]
    if not is_alone:
        raise UserError(f"another publish into {place} is under way: wait until it is done")
    if foreign_schemas:
        raise UserError(
            f"the schema {foreign_schemas} in {place} was not made by publishing, which would replace it: "
            "rename it, or name another database in PGDATABASE"
        )
    if reader and not _ask(warehouse, f"select 1 as found from pg_roles where rolname = {literal(reader)}"):
        raise UserError(
            f"there is no role {reader} in {place}: have its administrator run "
            f"create role {identifier(reader)} login, or name another role"
        )
    return place


def _describe(table: Table, key: tuple[str, ...]) -> list[str]:
    """Return the statements that give a loaded table its comments, its key and its statistics."""
    name = f"{_LOADING}.{identifier(table.name)}"
    statements = [f"comment on table {name} is {literal(table.comment)}"] if table.comment else []
    statements += [
        f"comment on column {name}.{identifier(column.name)} is {literal(column.comment)}"
        for column in table.columns
        if column.comment
    ]
    if key:
        statements.append(f"alter table {name} add primary key ({', '.join(map(identifier, key))})")
    return [*statements, f"analyze {name}"]


def _verify(warehouse: Marts, tables: list[Table]) -> dict[str, int]:
    """Count the rows in the server, and hold them against the warehouse."""
    expected = {table.name: warehouse.content(table)[0] for table in tables}
    counts = " union all ".join(
        f"select {literal(name)} as name, count(*) as row_count from {_LOADING}.{identifier(name)}"
        for name in expected
    )
    if dict(_ask(warehouse, counts)) != expected:
        raise UserError("the copy in Postgres is not whole and was thrown away: publish once more")
    return expected


def _swap(warehouse: Marts, settle_seconds: float, patience_seconds: float) -> None:
    """Put the loaded schema in the place of the old one.

    A statement that joins two tables looks them up one after the other. With both locked it finds both old or
    both new. Nine times of ten we take the locks only if nobody has to wait for it, and the tenth time we
    stand in line, lest readers who take turns keep us out; but not so long that Postgres would look for
    deadlocks (deadlock_timeout, 1 s) and cancel a reader.
    """
    try:
        _execute(
            warehouse,
            f"""
            do $swap$
            declare
                old_tables text;
                attempt integer := 0;
                started_at timestamptz := clock_timestamp();
            begin
                select string_agg(format('%I.%I', nspname, relname), ', ' order by relname)
                into old_tables
                from pg_class
                inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
                where nspname = '{SCHEMA}' and relkind in ('r', 'p');

                perform pg_sleep({settle_seconds});
                perform set_config('lock_timeout', '100ms', true);
                while old_tables is not null loop
                    attempt := attempt + 1;
                    begin
                        execute 'lock table ' || old_tables || ' in access exclusive mode'
                            || case when attempt % 10 > 0 then ' nowait' else '' end;
                        exit;
                    exception
                        when lock_not_available or deadlock_detected then
                            if clock_timestamp() - started_at > interval '{patience_seconds} seconds' then
                                raise;
                            end if;
                            perform pg_sleep(0.02);
                    end;
                end loop;
                perform set_config('lock_timeout', '0', true);

                if old_tables is not null then
                    execute 'drop table ' || old_tables;
                end if;
                drop schema if exists {SCHEMA};
                alter schema {_LOADING} rename to {SCHEMA};
            end
            $swap$
            """,
        )
    except BaseException:
        # After a kill it stays until the next publish.
        _execute(warehouse, f"drop schema if exists {_LOADING} cascade")
        raise


def _server_error(error: duckdb.Error) -> UserError | None:
    """Return a plain sentence for what Postgres says, else None."""
    text = str(error)
    refused = re.search(r'Unable to connect to Postgres at "[^"]*": (.+)', text)
    if refused:
        return UserError(
            f"Postgres cannot be reached: {refused[1].strip()}; look at PGHOST, PGPORT, PGDATABASE, PGUSER "
            "and PGPASSWORD"
        )
    said = re.search(r"ERROR:  (.+)", text)
    if not said:
        return None
    told, detail = said[1].strip(), re.search(r"DETAIL:  (.+)", text)
    if re.search("lock timeout|could not obtain lock", told):
        return UserError(
            f"readers keep the tables of the schema {SCHEMA} locked, so nothing was published: end their "
            "transactions, or publish again later"
        )
    if re.search("depend on (it|them)", told):
        return UserError(
            f"something else in the database was made from the schema {SCHEMA}, so nothing was published: "
            f"{detail[1] if detail else told}; drop it, make it a model of dbt, or let it read a copy"
        )
    return UserError(f"Postgres refuses, so nothing was published: {told}")
