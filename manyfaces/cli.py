"""The command `manyfaces`: build, backtest, publish (to a file, Parquet or Postgres), summary, metrics, simulate."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from manyfaces import __version__
from manyfaces.errors import UserError

WAREHOUSE = "warehouse.duckdb"
SERVING = "serving.duckdb"
PARQUET = "serving_parquet"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done; 1 it ran and something failed; 2 it could not start, because a setting,
        an option or a file is wrong or in use.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # What follows belongs to dbt, or to MetricFlow, whose commands have a help of their own.
    asked_for_help = {"-h", "--help"} & set(arguments[1:2] if arguments[:1] == ["metrics"] else arguments)
    is_passed_on = arguments[:1] in (["build"], ["backtest"], ["metrics"]) and not asked_for_help
    options = _parser().parse_args(arguments[:1] if is_passed_on else arguments)
    try:
        if options.run in (_build, _backtest, _metrics):
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
    _add_source(published)
    published.add_argument(
        "--to", dest="target", metavar="FILE", type=Path, help=f"default: {SERVING} beside --from"
    )
    published.add_argument(
        "--keep", metavar="N", type=int, help="builds before this one that stay; default: var kept_builds"
    )

    exported = command(
        "publish-parquet", _publish_parquet, f"Write the marts as Parquet files into {PARQUET}/, one a table."
    )
    _add_source(exported)
    exported.add_argument(
        "--to", dest="target", metavar="FOLDER", type=Path, help=f"default: {PARQUET} beside --from"
    )

    loaded = command(
        "publish-postgres",
        _publish_postgres,
        "Copy the marts into the schema marts of the Postgres server that PGHOST, PGDATABASE, PGUSER ... name.",
    )
    _add_source(loaded)
    loaded.add_argument(
        "--reader",
        metavar="ROLE",
        default=os.environ.get("MANYFACES_POSTGRES_READER") or None,
        help="a role that may read them; default: MANYFACES_POSTGRES_READER",
    )

    shown = command("summary", _summary, "Show what was built: counts, segments, one user's lists.")
    shown.add_argument("--database", metavar="FILE", default=Path(_warehouse()).with_name(SERVING), type=Path)

    command(
        "metrics",
        _metrics,
        f"Ask MetricFlow for metrics of {SERVING}, such as spend by month and segment.",
        usage="manyfaces metrics [any command of mf, such as list metrics or query --metrics spend]",
        epilog="docs/metrics.md defines each metric. --database FILE before the command asks another file.",
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


def _metrics(passed: Sequence[str]) -> int:
    from manyfaces.metrics import run_metricflow

    parser = argparse.ArgumentParser(prog="manyfaces metrics", add_help=False, allow_abbrev=False)
    serving = Path(_warehouse()).with_name(SERVING)
    parser.add_argument("--database", metavar="FILE", default=serving, type=Path)
    own, rest = parser.parse_known_args(passed)
    return run_metricflow(rest or ["--help"], own.database)


def _publish(options: argparse.Namespace) -> None:
    from manyfaces.serving.file import publish

    published = publish(
        options.source,
        options.target or options.source.with_name(SERVING),
        kept_builds=_kept_builds() if options.keep is None else options.keep,
        allow_incomplete=options.allow_incomplete,
    )
    print(published)


def _publish_parquet(options: argparse.Namespace) -> None:
    from manyfaces.serving.parquet import publish_parquet

    target = options.target or options.source.with_name(PARQUET)
    print(publish_parquet(options.source, target, allow_incomplete=options.allow_incomplete))


def _publish_postgres(options: argparse.Namespace) -> None:
    from manyfaces.serving.postgres import publish_postgres

    print(
        publish_postgres(options.source, reader=options.reader, allow_incomplete=options.allow_incomplete)
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="source", metavar="FILE", default=_warehouse(), type=Path)
    parser.add_argument(
        "--allow-incomplete",
        action="store_true",
        help="publish the tables as they are, although the last run failed or left some behind",
    )


def _kept_builds() -> int:
    """Return the setting of the project that this is called from; 0 outside of one."""
    import yaml

    from manyfaces.build import project_folder

    file = project_folder([]) / "dbt_project.yml"
    return yaml.safe_load(file.read_text())["vars"].get("kept_builds", 0) if file.is_file() else 0


def _summary(options: argparse.Namespace) -> None:
    from manyfaces.summary import print_summary

    print_summary(options.database)


if __name__ == "__main__":
    sys.exit(main())
