"""The builds that the tests of this folder look at.

Each scenario is one or several builds in a folder of its own, and is run once. All scenarios that the
collected tests need start with the first of them, two at a time, while other tests run.
"""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.data import copy_events, write_crowd
from integration.harness import FAST, PROJECT, TABLES_ONLY, Build, Workspace
from manyfaces.simulate import Parameters, simulate

CHEAP_SOURCES = ["buy_again", "collaborative", "segment", "popular"]
RETAIL = PROJECT.parent / "shared" / "data" / "online_retail.parquet"
SCENARIOS: dict[str, Callable[[Path], object]] = {}


def scenario(run: Callable[[Path], object]) -> Callable[[Path], object]:
    """Make a fixture, named like the function, of what it returns for a folder."""
    name = run.__name__
    SCENARIOS[name] = run

    def fixture(running: dict[str, Future]) -> object:
        return running[name].result()

    globals()[f"{name}_fixture"] = pytest.fixture(scope="session", name=name)(fixture)
    return run


@pytest.fixture(scope="session", autouse=True)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future]]:
    needed = {name for item in request.session.items for name in item.fixturenames}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(run, tmp_path_factory.mktemp(name))
            for name, run in SCENARIOS.items()
            if name in needed
        }
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Twice:
    """Two builds into one database."""

    first: Build
    second: Build


@dataclass(frozen=True)
class Planted:
    """Builds on simulated data; `fresh` has a database and a store of its own."""

    workspace: Workspace
    first: Build
    second: Build
    fresh: Build
    before: Path  # the database after the first build
    is_isolated: bool  # whether the first build ran in a network namespace without a network
    stored: tuple[dict, dict]  # files of the store after the first and after the second build


@dataclass(frozen=True)
class Growing:
    """Three builds into one database while the log grows; databases as each build left them."""

    workspace: Workspace
    truncated: Path  # days before the wall only, as_of = wall
    grown: Path  # and then the days after it, and a late row
    late: Build  # and then rows that arrive later than late_event_days


@scenario
def planted(folder: Path) -> Planted:
    workspace = Workspace(folder / "one")
    simulate(
        workspace.files,
        Parameters(events=30_000, users=600, items=400, bots=2, dirt_rate=0.03, drift_share=0.1),
    )
    isolate = ["unshare", "--net", "--map-root-user"]
    is_isolated = subprocess.run([*isolate, "true"], capture_output=True, check=False).returncode == 0
    first = workspace.build(before=isolate if is_isolated else [])
    before, stored = workspace.keep_database("before"), workspace.stored_models()
    second = workspace.build(TABLES_ONLY)
    other = Workspace(folder / "two")
    fresh = other.build(TABLES_ONLY, files_dir=str(workspace.files))
    return Planted(workspace, first, second, fresh, before, is_isolated, (stored, workspace.stored_models()))


WALL = "2025-06-24"
LATE_DAY = "2025-06-22"


class Log:
    """A simulated log in pieces, with the other files beside it in full."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        simulate(self.source, Parameters(events=12_000, users=200, items=120, dirt_rate=0.03))
        events = self.source / "events.parquet"
        # Without outliers: caps are frozen until a full refresh, so they may differ from those on all days.
        cut = f"(select 5 * quantile_cont(value, 0.99) from '{events}' where value <> 0)"
        kept = f"coalesce(value, 0) < {cut}"
        old = f"{kept} and coalesce(event_at < '{WALL}', true)"
        late = f"event_at::date = '{LATE_DAY}' and hash(user_id) % 4 = 0"
        too_late = "event_at::date between '2025-05-01' and '2025-05-10' and hash(user_id) % 8 = 0"
        self.pieces = {
            "old": f"{old} and ({late}) is not true and ({too_late}) is not true",
            "new": f"{kept} and event_at >= '{WALL}'",
            "late": f"{old} and {late}",
            "too-late": f"{old} and {too_late}",
        }

    def workspace(self, folder: Path, *pieces: str) -> Workspace:
        made = Workspace(folder)
        for table in ("items", "users", "impressions"):
            (made.files / f"{table}.parquet").hardlink_to(self.source / f"{table}.parquet")
        self.add(made, *pieces)
        return made

    def add(self, workspace: Workspace, *pieces: str) -> None:
        for name in pieces:
            target = workspace.files / "events" / f"{name}.parquet"
            copy_events(self.source / "events.parquet", target, self.pieces[name])


# What an earlier wall left is made anew, so that a grown warehouse can be compared with a fresh one.
# Clustered segments go on from the wall before on purpose, and are left out.
ANEW = FAST | {
    "retrain_when": "always",
    "segmentations": [
        {"name": "rfm", "algorithm": "rfm"},
        {"name": "tiers", "algorithm": "rules"},
        {"name": "interest", "algorithm": "top_interest"},
    ],
    "default_segmentation": "rfm",
}


@scenario
def growing(folder: Path) -> Growing:
    log = Log(folder)
    workspace = log.workspace(folder / "growing", "old")
    workspace.build(TABLES_ONLY, **FAST, as_of=WALL)
    truncated = workspace.keep_database("truncated")
    log.add(workspace, "new", "late")
    workspace.build(**ANEW)
    grown = workspace.keep_database("grown")
    log.add(workspace, "too-late")
    late = workspace.build(("run", "--select", "+data_quality"), **ANEW)
    return Growing(workspace, truncated, grown, late)


@scenario
def whole(folder: Path) -> Build:
    """The log with its late rows, from scratch."""
    workspace = Log(folder).workspace(folder / "whole", "old", "new", "late")
    return workspace.build(TABLES_ONLY, **ANEW)


@scenario
def walled(folder: Path) -> Build:
    """All days of the log from scratch, but with a wall before the last."""
    workspace = Log(folder).workspace(folder / "walled", "old", "new")
    return workspace.build(TABLES_ONLY, **FAST, as_of=WALL)


@scenario
def retail(folder: Path) -> Build:
    workspace = Workspace(folder)
    duckdb.sql(
        f"""
        copy (
            select
                InvoiceNo as session_id, StockCode as item_id, Description as title, Quantity as quantity,
                InvoiceDate as event_at, UnitPrice as price, CustomerID as user_id, Country as context
            from '{RETAIL}'
        ) to '{workspace.files / "events.parquet"}' (format parquet)
        """
    )
    return workspace.build(**FAST)


@scenario
def crowd(folder: Path) -> tuple[Workspace, Build]:
    workspace = Workspace(folder)
    write_crowd(workspace.files)
    return workspace, workspace.build(**FAST)


@scenario
def chinese(folder: Path) -> tuple[Workspace, Build]:
    """Texts in Chinese, and the settings that cost least: fixed weights, four sources."""
    workspace = Workspace(folder)
    simulate(workspace.files, Parameters(events=5_000, users=120, items=96, segments=4, language="zh"))
    return workspace, workspace.build(TABLES_ONLY, **FAST, ranker="fixed", sources=CHEAP_SOURCES)


@scenario
def empty(folder: Path) -> Twice:
    workspace = Workspace(folder)
    csv = workspace.files / "events.csv"
    csv.write_text("user_id,item_id,event_at\n")
    first = workspace.build(**FAST)
    csv.unlink()
    # What an empty data frame becomes: columns without a type.
    nothing = pa.table({name: pa.nulls(0) for name in ("user_id", "item_id", "event_at")})
    pq.write_table(nothing, workspace.files / "events.parquet")
    return Twice(first, workspace.build(TABLES_ONLY, **FAST))


@scenario
def single(folder: Path) -> Build:
    """One event, and columns without a single value, as data frames write them: without a type."""
    workspace = Workspace(folder)
    unknown = pa.nulls(1)
    event = {
        "user_id": ["ada"],
        "item_id": ["lamp"],
        "event_at": [datetime(2025, 3, 1, 10)],
        "value": unknown,
    }
    item = {"item_id": ["lamp"], "title": unknown, "released_at": unknown, "is_active": unknown}
    for name, columns in {"events": event, "items": item}.items():
        pq.write_table(pa.table(columns), workspace.files / f"{name}.parquet")
    return workspace.build(**FAST)
