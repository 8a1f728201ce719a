"""Builds at walls in the past, in a database of their own, and judges the lists by what came after.

Nothing of the pipeline is done in another way for it: the models are those of every build, given an earlier
wall. What the evaluation models find is kept as one Parquet file a wall, which the warehouse reads.
"""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import duckdb

from manyfaces.build import build, project_folder
from manyfaces.errors import UserError
from manyfaces.evaluation.report import print_backtest
from manyfaces.walls import WALL_ONLY, refuse_choice, split_variables

DATABASE = "backtest.duckdb"
# Lists are judged at 100, and after the items that a scope leaves out.
LENGTHS = {"top_n": 120, "candidates_per_source": 120, "rerank_depth": 150}
# Everything that the evaluation reads, and its own tests; the rest is tested by every other build.
_EVALUATION = [
    "--select",
    *(f"+path:{folder}/evaluation/backtest" for folder in ("models", "python_models")),
    "--indirect-selection",
    "empty",
    "--exclude",
    "resource_type:unit_test",
]
# The ranker learns from an earlier wall, with the segments that were known there.
_SEGMENTS_ONLY = ["--select", "+segment_dates", "--resource-type", "model", "--resource-type", "seed"]
_RESULTS = ["--select", "backtest_quality+", "backtest_uplift+", "production_strategies+"]
_KEPT = {"recommendation_quality": "quality_at_wall", "segmentation_uplift": "uplift_at_wall"}


@dataclass(frozen=True)
class Fold:
    """A wall in the past and the days after it that are looked at."""

    as_of: datetime
    days: int

    @property
    def until(self) -> datetime:
        """The end of the test period, not included."""
        return self.as_of + timedelta(days=self.days)

    @property
    def file(self) -> str:
        """Name of the file that keeps a table of this wall."""
        return f"{self.as_of:%Y-%m-%d_%H%M%S}.parquet"


def backtest(
    arguments: Sequence[str],
    warehouse: Path | str,
    *,
    folds: int | None = None,
    days: int | None = None,
    wall: str | None = None,
    out: TextIO | None = None,
) -> bool:
    """Build at one or several walls in the past, judge the lists, keep the results and show them.

    Args:
        arguments: options of `dbt build` other than those that choose models.
        warehouse: the file of the production build. backtest.duckdb is written beside it, anew each time;
            the marts of the warehouse, if there is one, are given the results.
        folds: walls, `days` apart, the last so many days before the wall of the settings; var
            backtest_folds by default.
        days: days after each wall that are looked at; var backtest_days by default, with `wall` everything.
        wall: one wall instead of folds.
        out: where the report goes; standard output by default.

    Returns:
        Whether all builds succeeded and no test failed; the first that fails is the last.

    Raises:
        UserError: nothing can be judged: an option or setting is wrong, a wall is before the first event or
            after the last, or nothing happened after one.
    """
    out = out or sys.stdout
    refuse_choice(arguments, "a backtest builds what it needs")
    rest, variables = split_variables(arguments)
    settings = _settings(arguments) | variables
    if folds is None:
        folds = 1 if wall is not None else settings["backtest_folds"]
    folds = _positive("folds", folds)
    given_days = None if days is None else _positive("days", days)
    days = given_days or _positive("days", settings["backtest_days"])
    if wall is not None and folds > 1:
        raise UserError(f"--wall names one wall, so it cannot go with {folds} folds: leave one of them out")
    if settings["peer_lists"] and folds > 1:
        raise UserError("peer_lists belong to one wall, so they cannot go with several folds: use one fold")
    warehouse = Path(warehouse).absolute()
    database = warehouse.with_name(DATABASE)
    if database == warehouse:
        raise UserError(f"the warehouse cannot be {DATABASE}: name another file in MANYFACES_DATABASE")
    kept = (project_folder(arguments) / str(settings["backtest_dir"])).absolute()

    with _environment(MANYFACES_DATABASE=str(database), DBT_TARGET_PATH="target/backtest"):
        # What is learned goes on from wall to wall, so a file of other walls would change the result.
        for path in (database, database.with_name(database.name + ".wal")):
            path.unlink(missing_ok=True)
        print("finding the events", file=out, flush=True)
        if not build([*arguments, *WALL_ONLY], out):
            return False
        found = _find_folds(database, folds, days, wall, given_days)
        earlier = found[0].as_of - timedelta(days=settings["prediction_days"])
        print(f"\nsegments of {earlier}, for the ranker to learn with", file=out, flush=True)
        if not build(
            [*rest, "--vars", json.dumps(variables | {"as_of": str(earlier)}), *_SEGMENTS_ONLY], out
        ):
            return False
        for number, fold in enumerate(found, start=1):
            place = f"wall {number} of {len(found)}"
            print(f"\n{place}: {fold.as_of}, judged by {fold.days} days", file=out, flush=True)
            changes = {name: max(length, settings[name]) for name, length in LENGTHS.items()} | {
                "backtest": True,
                "backtest_days": fold.days,
                "as_of": str(fold.as_of),
            }
            if not build([*rest, "--vars", json.dumps(variables | changes), *_EVALUATION], out):
                print(f"{place} failed: {fold.as_of}", file=out, flush=True)
                return False
            _keep(database, kept, fold)
    succeeded = _show_in_warehouse(warehouse, arguments, out)
    print_backtest(kept, [fold.file for fold in found], out)
    return succeeded


def _settings(arguments: Sequence[str]) -> Mapping[str, object]:
    """Return the settings of the project file."""
    import yaml

    file = project_folder(arguments) / "dbt_project.yml"
    if not file.is_file():
        raise UserError("there is no dbt_project.yml here: go to the project's folder first")
    return yaml.safe_load(file.read_text())["vars"]


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"the {name} of a backtest must be a whole number of at least 1, not {value}")
    return value


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables for a while; a folder for target/ that was given before stays."""
    before = {name: os.environ.get(name) for name in variables}
    if before.get("DBT_TARGET_PATH"):
        del variables["DBT_TARGET_PATH"]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _find_folds(
    database: Path, folds: int, days: int, wall: str | None, given_days: int | None
) -> list[Fold]:
    """Return the folds, earliest first.

    Raises:
        UserError: there is no event, a wall is before the first or after the last one, or a fold is empty.
    """
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute(
            "select min(event_at), max(event_at), (select as_of from features.wall) from staging.stg_events"
        ).fetchall()
        first, last, end = rows[0]
        if first is None:
            raise UserError("there is no event, so there is nothing to judge lists by")
        if wall is None:
            found = [Fold(end - timedelta(days=days * number), days) for number in range(folds, 0, -1)]
        else:
            as_of = _timestamp(wall)
            rest = math.floor((last - as_of) / timedelta(days=1)) + 1
            found = [Fold(as_of, given_days or max(rest, 1))]
        for fold in found:
            if fold.as_of <= first:
                raise UserError(
                    f"a wall at {fold.as_of} is not after the first event ({first}), so nothing could be "
                    "learned: choose a later wall, fewer folds or fewer days"
                )
            if fold.as_of > last:
                raise UserError(
                    f"a wall at {fold.as_of} is after the last event ({last}), so nothing could be judged: "
                    "choose an earlier one"
                )
            events = connection.execute(
                "select count(*) from staging.stg_events where event_at >= ? and event_at < ?",
                [fold.as_of, fold.until],
            ).fetchall()[0][0]
            if events == 0:
                raise UserError(
                    f"the fold at {fold.as_of} has no test events: nothing happened in the {fold.days} days "
                    "after it; choose another wall, or more days"
                )
    return found


def _timestamp(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"--wall is {text!r}, which is no date: write it as '2025-06-30 12:00:00'") from error
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _keep(database: Path, folder: Path, fold: Fold) -> None:
    """Write what was found at a wall into one file a table, in place of what was found there before."""
    with duckdb.connect(database, read_only=True) as connection:
        for name, table in _KEPT.items():
            rows = connection.execute(f"select count(*) from evaluation.{table}").fetchall()[0][0]
            if rows == 0:
                raise UserError(
                    f"the fold at {fold.as_of} has nobody to judge lists by: no user that was known then did "
                    f"anything positive in the {fold.days} days after it"
                )
            target = folder / name / fold.file
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = target.with_suffix(f".tmp-{os.getpid()}")
            path = str(copy).replace("'", "''")
            connection.execute(
                f"copy (from evaluation.{table} order by all) to '{path}' (format parquet)"
            ).fetchall()
            os.replace(copy, target)


def _show_in_warehouse(warehouse: Path, arguments: Sequence[str], out: TextIO) -> bool:
    """Build the marts that show the results, if there is a warehouse to show them in."""
    later = f"\nThe marts of {warehouse.name} show the results after the next build."
    try:
        with duckdb.connect(warehouse, read_only=True) as connection:
            connection.execute("select as_of from features.wall").fetchall()
    except duckdb.Error:
        print(later, file=out, flush=True)
        return True
    print(f"\nthe results go into the marts of {warehouse.name}", file=out, flush=True)
    with _environment(MANYFACES_DATABASE=str(warehouse)):
        return build([*arguments, *_RESULTS, "--exclude", "resource_type:unit_test"], out)
