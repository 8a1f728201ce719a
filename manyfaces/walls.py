"""Builds at several walls in order, so that a history is there from the first day on."""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import duckdb

from manyfaces.build import build
from manyfaces.errors import UserError

# Without tests: they run in every build that follows.
WALL_ONLY = ("--select", "+wall", "--resource-type", "model", "--resource-type", "seed")
_CHOOSING = ("--select", "-s", "--models", "-m", "--exclude", "--selector")


def build_walls(
    arguments: Sequence[str], walls: int, days: int, database: Path | str, out: TextIO | None = None
) -> bool:
    """Build everything at walls some days apart, earliest first; the last is the wall of the settings.

    Walls before the first event are left out. Each build adds its rows to the dated tables.

    Args:
        arguments: options of `dbt build` other than those that choose models.
        walls: how many, at least 1.
        days: days between two of them, at least 1.
        database: the file that dbt writes.
        out: where the report goes; standard output by default.

    Returns:
        Whether all builds succeeded; the first that fails is the last.

    Raises:
        UserError: nothing could be built, a number is below 1, models are chosen, or there is no event.
    """
    out = out or sys.stdout
    if walls < 1 or days < 1:
        raise UserError(f"--walls {walls} --days {days}: both have to be at least 1")
    refuse_choice(arguments, "--walls builds everything")
    rest, variables = split_variables(arguments)
    print("finding the newest event", file=out, flush=True)
    if not build([*arguments, *WALL_ONLY], out):
        return False
    dates = _dates(database, walls, days)
    for number, as_of in enumerate(dates, start=1):
        print(f"\nwall {number} of {len(dates)}: {as_of}", file=out, flush=True)
        if not build([*rest, "--vars", json.dumps(variables | {"as_of": as_of})], out):
            print(f"wall {number} of {len(dates)} failed: {as_of}", file=out, flush=True)
            return False
    return True


def refuse_choice(arguments: Sequence[str], what: str) -> None:
    """Raise a UserError when the arguments choose models; `what` says why they cannot."""
    chosen = [argument for argument in arguments if argument.partition("=")[0] in _CHOOSING]
    if chosen:
        raise UserError(f"{what}, so it cannot go with {chosen[0]}: leave one of them out")


def split_variables(arguments: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """Return the options without --vars, and what --vars holds (of several the last, as dbt does).

    Raises:
        UserError: --vars has no value, or one that is not a mapping.
    """
    import yaml

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--vars", default="{}")
    try:
        options, rest = parser.parse_known_args(list(arguments))
        variables = yaml.safe_load(options.vars)
    except (argparse.ArgumentError, yaml.YAMLError) as error:
        raise UserError(f"--vars cannot be read: give it as '{{top_n: 10}}' ({error})") from error
    if not isinstance(variables, dict):
        raise UserError(f"--vars must be a mapping such as '{{top_n: 10}}', not {options.vars!r}")
    return rest, variables


def _dates(database: Path | str, walls: int, days: int) -> list[str]:
    """Return the walls as text, earliest first, those before the first event left out."""
    with duckdb.connect(os.fspath(database), read_only=True) as connection:
        found = connection.execute(
            "select as_of, (select min(event_at) from staging.stg_events) from features.wall"
        ).fetchall()
    if not found or found[0][1] is None:
        raise UserError("there is no event, so there is nothing to build a history of")
    last, first_event = found[0]
    step = datetime.timedelta(days=days)
    dates = [last - step * number for number in reversed(range(walls))]
    return [str(date) for date in dates if date > first_event] or [str(last)]
