"""The command `manyfaces`: build, backtest, publish, summary, report, simulate."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from manyfaces import __version__
from manyfaces.errors import UserError

WAREHOUSE = "warehouse.duckdb"
SERVING = "serving.duckdb"
REPORT = "report.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done; 1 it ran and something failed; 2 it could not start, because a setting,
        an option or a file is wrong or in use.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # What follows belongs to dbt, options included.
    is_passed_on = arguments[:1] in (["build"], ["backtest"]) and not {"-h", "--help"} & set(arguments)
    options = _parser().parse_args(arguments[:1] if is_passed_on else arguments)
    try:
        if options.run in (_build, _backtest):
            return options.run(arguments[1:])
        return options.run(options) or 0
    except UserError as error:
        return _stop(error, 2)
    except KeyboardInterrupt as error:
        return _stop(error, 130, "stopped")
    except BrokenPipeError:
        # The reader of the output, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _stop(error, 1, f"{type(error).__name__}: {error}")


def _stop(error: BaseException, code: int, text: str | None = None) -> int:
    if os.environ.get("MANYFACES_DEBUG", "0") not in ("", "0"):
        raise error
    print(f"manyfaces: {text or error}", file=sys.stderr, flush=True)
    return code


def _parser() -> argparse.ArgumentParser:
    from manyfaces import simulate

    parser = argparse.ArgumentParser(
        prog="manyfaces",
        description="Builds, publishes and shows user segments and recommendations.",
        epilog="MANYFACES_DEBUG=1 shows the full traceback of an error.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"manyfaces {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int | None], text: str, **more: str):
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False, **more)
        added.set_defaults(run=run)
        return added

    command(
        "build",
        _build,
        "Build the tables in warehouse.duckdb and report every stage.",
        usage="manyfaces build [--walls N --days N] "
        "[any option of dbt build, such as --select, --vars or --full-refresh]",
        epilog="--walls 4 builds at four walls in time, --days (28) apart, so that segments have a history.",
    )

    command(
        "backtest",
        _backtest,
        "Build at walls in the past and judge the lists by what came after.",
        usage="manyfaces backtest [--folds N --days N | --wall TIME] "
        "[any option of dbt build that chooses no models, such as --vars]",
        epilog="Judges the --days after each of --folds walls (28 and 1, or as the settings say), or "
        "everything after --wall. docs/backtest.md explains the numbers.",
    )

    published = command("publish", _publish, f"Copy the marts into {SERVING}, the file that readers open.")
    published.add_argument("--from", dest="source", metavar="FILE", default=_warehouse(), type=Path)
    published.add_argument(
        "--to", dest="target", metavar="FILE", type=Path, help=f"default: {SERVING} beside --from"
    )

    shown = command("summary", _summary, "Show what was built: counts, segments, one user's lists.")
    shown.add_argument("--database", metavar="FILE", default=Path(_warehouse()).with_name(SERVING), type=Path)

    reported = command("report", _report, "Write what was built as one HTML file that needs no server.")
    reported.add_argument(
        "--database", metavar="FILE", default=Path(_warehouse()).with_name(SERVING), type=Path
    )
    reported.add_argument(
        "--to", dest="target", metavar="FILE", type=Path, help=f"default: {REPORT} beside --database"
    )
    reported.add_argument(
        "--language", choices=["en", "zh"], help="language of the page; default: that of the build"
    )

    simulated = command("simulate", simulate.run, "Write made-up input files of a size of your choice.")
    simulate.add_arguments(simulated)
    return parser


def _warehouse() -> str:
    """Return the file that dbt writes, by the rule of profiles.yml."""
    return os.environ.get("MANYFACES_DATABASE") or WAREHOUSE


def _build(passed: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="manyfaces build", add_help=False, allow_abbrev=False)
    parser.add_argument("--walls", type=int)
    parser.add_argument("--days", type=int, default=28)
    own, rest = parser.parse_known_args(passed)
    if own.walls is not None:
        from manyfaces.walls import build_walls

        return 0 if build_walls(rest, own.walls, own.days, _warehouse()) else 1
    from manyfaces.build import build

    return 0 if build(passed) else 1


def _backtest(passed: Sequence[str]) -> int:
    from manyfaces.backtest import backtest

    parser = argparse.ArgumentParser(prog="manyfaces backtest", add_help=False, allow_abbrev=False)
    parser.add_argument("--folds", type=int)
    parser.add_argument("--days", type=int)
    parser.add_argument("--wall", metavar="TIME")
    own, rest = parser.parse_known_args(passed)
    return 0 if backtest(rest, _warehouse(), folds=own.folds, days=own.days, wall=own.wall) else 1


def _publish(options: argparse.Namespace) -> None:
    from manyfaces.publish import publish

    target = options.target or options.source.with_name(SERVING)
    published = publish(options.source, target)
    tables, rows = len(published.rows), sum(published.rows.values())
    noun = "table" if tables == 1 else "tables"
    print(f"{target}: {tables} {noun}, {rows:,} rows, {published.bytes / 1e6:.1f} MB")


def _summary(options: argparse.Namespace) -> None:
    from manyfaces.summary import print_summary

    print_summary(options.database)


def _report(options: argparse.Namespace) -> None:
    from manyfaces.report import write_report

    target = options.target or options.database.with_name(REPORT)
    written = write_report(options.database, target, options.language)
    print(f"{target}: {written.bytes / 1e6:.1f} MB in {written.seconds:.1f} s, open it in a browser")


if __name__ == "__main__":
    sys.exit(main())
