"""Runs dbt on the project in a folder of its own, and compares what came out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

PROJECT = Path(__file__).resolve().parents[3]
NO_NETWORK = PROJECT / "tests" / "fixtures" / "no_network"
KEY = "a-key-for-tests-6f1d"

# For builds that are not about the encoder or the autoencoder.
FAST = {"text_encoder": "tfidf", "vae_max_epochs": 5}
BUILD = ("build",)
# The same tables without the tests of dbt, for builds whose result is compared with another.
TABLES_ONLY = ("build", "--resource-type", "model", "--resource-type", "seed")

# What was measured, not computed.
MEASURED = ("seconds", "peak_memory_mb")

# Tables that hold the rows of every wall.
DATED = (
    "evaluation.strategy_dates",
    "features.feature_dates",
    "features.feature_drift_dates",
    "features.learning_plan",
    "segments.cluster_dates",
    "segments.segment_dates",
    "segments.segment_feature_dates",
    "segments.segment_flows",
    "segments.segment_share_drift",
    "segments.segment_shifts",
    "segments.segment_size_dates",
)
# Tables and columns that say how a wall differs from those before it.
SHOWING_DATED = (
    "evaluation.strategy_dates",
    "marts.feature_drift",
    "marts.learning_decisions",
    "marts.segment_drift",
    "marts.segment_lineage",
    "marts.segment_migrations",
    "marts.segmentation_prediction",
    "segments.segmentation_prediction_scores",
)
SHOWING_DATED_COLUMNS = ("since", "previous_segment_id", "previous_segment_name", "born_on")


@dataclass(frozen=True)
class Build:
    """What one run of dbt said and left behind."""

    returncode: int
    output: str
    database: Path

    def rows(self, query: str, *parameters: object) -> list[tuple]:
        with duckdb.connect(self.database, read_only=True) as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def value(self, query: str, *parameters: object) -> object:
        return self.rows(query, *parameters)[0][0]


@dataclass
class Workspace:
    """A folder with data and everything that builds on it write: database, store, target/ and logs/."""

    folder: Path
    files: Path = field(init=False)
    database: Path = field(init=False)
    store: Path = field(init=False)

    def __post_init__(self) -> None:
        self.files = self.folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        self.database = self.folder / "warehouse.duckdb"
        self.store = self.folder / "store"

    @property
    def network_attempts(self) -> Path:
        return self.folder / "network_attempts.txt"

    def vars(self, **changes: object) -> str:
        given = {
            "input": "files",
            "files_dir": str(self.files),
            "store_dir": str(self.store),
            "backtest_dir": str(self.folder / "backtest"),
        }
        return json.dumps(given | changes)

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "MANYFACES_"))
        }
        return kept | {
            "MANYFACES_DATABASE": str(self.database),
            "MANYFACES_PSEUDONYM_KEY": KEY,
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(NO_NETWORK), os.environ.get("PYTHONPATH")])),
            "NETWORK_ATTEMPTS": str(self.network_attempts),
        }

    def options(self) -> list[str]:
        return ["--target-path", str(self.folder / "target"), "--log-path", str(self.folder / "logs")]

    def build(
        self,
        command: Sequence[str] = BUILD,
        before: Sequence[str] = (),
        expect: int | None = 0,
        **changes: object,
    ) -> Build:
        """Run dbt with vars; `before` is a command that runs it, such as unshare."""
        dbt = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors"]
        done = subprocess.run(
            [*before, *dbt, *command, *self.options(), "--vars", self.vars(**changes)],
            cwd=PROJECT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert expect is None or done.returncode == expect, f"{done.stdout}\nended with {done.returncode}"
        return Build(done.returncode, done.stdout, self.database)

    def keep_database(self, name: str) -> Path:
        """Copy the database, so that it can be compared with what a later build makes of it."""
        return Path(shutil.copy(self.database, self.folder / f"{name}.duckdb"))

    def stored_models(self) -> dict[str, tuple[int | None, bytes]]:
        """Every file of the store with when it was written and what it holds.

        The time of a .json file says when it was last used, so it does not count.
        """
        return {
            path.name: (None if path.suffix == ".json" else path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(self.store.rglob("*"))
            if path.is_file()
        }


def tables(
    connection: duckdb.DuckDBPyConnection, database: str, schemas: Iterable[str]
) -> dict[str, list[tuple]]:
    """Return the columns (name, type) of each table, as schema.table."""
    rows = connection.execute(
        """
        select schema_name || '.' || table_name, column_name, data_type
        from duckdb_columns() semi join duckdb_tables() using (database_name, schema_name, table_name)
        where database_name = ? and list_contains(?, schema_name)
        order by schema_name, table_name, column_index
        """,
        [database, list(schemas)],
    ).fetchall()
    found: dict[str, list[tuple]] = {}
    for table, column, kind in rows:
        found.setdefault(table, []).append((column, kind))
    return found


def differences(
    first: Path,
    second: Path,
    schemas: Sequence[str] = ("marts",),
    without: Sequence[str] = (),
    without_columns: Sequence[str] = (),
) -> list[str]:
    """Compare every table of the schemas row by row, whatever the order; an empty list means identical.

    Measured columns (seconds, peak memory) are left out, and the tables and columns named in `without` and
    `without_columns`.
    """
    with duckdb.connect() as connection:
        connection.execute(f"attach '{first}' as first (read_only)")
        connection.execute(f"attach '{second}' as second (read_only)")
        left, right = tables(connection, "first", schemas), tables(connection, "second", schemas)
        assert {table.split(".")[0] for table in left} == set(schemas), "nothing to compare"
        found = [f"{table} is only in one" for table in sorted(left.keys() ^ right.keys())]
        for table in sorted(left.keys() & right.keys() - set(without)):
            if left[table] != right[table]:
                found.append(f"{table} has other columns")
                continue
            columns = [column for column, _ in left[table] if column not in {*MEASURED, *without_columns}]

            def missing(one: str, other: str, columns: list[str], table: str = table) -> int:
                picked = ", ".join(f'"{column}"' for column in columns)
                return connection.execute(
                    f"select count(*) from (select {picked} from {one}.{table} except all "
                    f"select {picked} from {other}.{table})"
                ).fetchall()[0][0]

            counts = missing("first", "second", columns), missing("second", "first", columns)
            if any(counts):
                odd = [column for column in columns if missing("first", "second", [column])]
                found.append(f"{table}: {counts[0]} rows only in the first, {counts[1]} in the second; {odd}")
    return found


def balance(build: Build) -> dict[str, int]:
    """Return data_quality as check_name -> rows, once it is certain that it adds up."""
    lines = build.rows("select check_name, row_count, is_ok from marts.data_quality")
    assert all(is_ok for _, _, is_ok in lines), lines
    found = {name: count for name, count, _ in lines}
    rejected = sum(count for name, count in found.items() if name.startswith("rejected_"))
    raw = found["raw_events"] + found["no_longer_in_input_events"]
    assert raw == found["clean_events"] + rejected, found
    return found


def rejected(build: Build) -> dict[str, int]:
    """Return the rejected rows by reason."""
    prefix = "rejected_"
    return {name[len(prefix) :]: count for name, count in balance(build).items() if name.startswith(prefix)}


def wrong_fallback_levels(build: Build) -> list[tuple]:
    """Return the recommendations whose level is not what the source and the number of events say."""
    return build.rows(
        """
        select recommendations.*
        from marts.user_recommendations as recommendations
        join features.user_attributes using (user_key)
        where fallback_level <> case
            when source in ('popular', 'rising') then 3
            when source in ('segment', 'distinctive', 'context', 'attribute') then 2
            when positive_events < 5 then 1
            else 0
        end
        """
    )
