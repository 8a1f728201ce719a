"""Asks MetricFlow (`mf`) for metrics of a published file, which it only reads.

`mf` by itself opens the warehouse for writing, so that it waits for builds and they for it, wants the
semantic manifest in target/, where the next build writes that of another database, and asks PyPI for a newer
version of itself. Here it gets a folder of its own with the two files that it needs, and does none of that.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from manyfaces.errors import UserError

FOLDER = Path("target", "metrics")


def run_metricflow(arguments: Sequence[str], database: Path | str, folder: Path = FOLDER) -> int:
    """Run one command of `mf` on the semantic models of the project in this folder.

    Args:
        arguments: of `mf`, such as `query --metrics spend --group-by metric_time__month`.
        database: the DuckDB file that holds the marts. Others may be reading it.
        folder: where the semantic manifest goes.

    Returns:
        The exit code of `mf`.

    Raises:
        UserError: MetricFlow is not installed, there is no project here, or no such file.
    """
    database, folder = Path(database).absolute(), folder.absolute()
    if not Path("dbt_project.yml").is_file():
        raise UserError("there is no dbt_project.yml here: go to the project's folder first")
    if not database.is_file():
        raise UserError(f"there is no {database.name} to ask: run `manyfaces publish` first")
    try:
        from dbt_metricflow.cli import main as metricflow
    except ImportError as error:
        raise UserError(
            "metrics need MetricFlow: install it with pip install 'dbt-metricflow>=0.15'"
        ) from error
    from dbt.cli.main import dbtRunner

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ["MANYFACES_DATABASE"] = str(database)
    os.environ["MANYFACES_ACCESS_MODE"] = "read_only"
    os.environ["DBT_LOG_PATH"] = str(folder)
    # Where mf looks for the semantic manifest: its folder's own target/, whatever dbt is told.
    parsed = dbtRunner().invoke(["parse", "--quiet", "--target-path", str(folder / "target")])
    if not parsed.success:
        raise UserError(f"the project cannot be read: {parsed.exception}")
    for file in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(file, folder / file)
    os.environ["DBT_PROJECT_DIR"] = os.environ["DBT_PROFILES_DIR"] = str(folder)
    metricflow.UpdateChecker = _NoUpdates
    return (
        metricflow.cli.main(args=list(arguments), prog_name="manyfaces metrics", standalone_mode=False) or 0
    )


class _NoUpdates:
    """Stands in for the check for a newer version, which would ask the network."""

    def check(self, *_: str) -> None:
        """Know of none."""
