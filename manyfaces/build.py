"""Runs `dbt build` in this process and says what happens, stage by stage, in lines that people can read.

Plain `dbt build` does the same work; this only listens to its events. A stage is the folder of a model
(models/features and python_models/features are one stage); a test belongs to the stage of the file that
declares it.
"""

import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from manyfaces.errors import UserError, database_error
from manyfaces.threads import set_thread_environment

_TABLES = ("model", "seed", "snapshot")
_TESTS = ("test", "unit_test")
# Said again by this module, in its own words.
_REPEATED_EVENTS = ("LogTestResult", "RunResultWarning", "RunResultWarningMessage")
_NAME_WIDTH = 32


def build(arguments: Sequence[str] = (), out: TextIO | None = None) -> bool:
    """Build everything, or what the arguments select, and report it.

    Args:
        arguments: options of `dbt build`, passed on as they are.
        out: where the report goes; standard output by default.

    Returns:
        Whether every model was built and no test failed.

    Raises:
        UserError: nothing could be built at all: a setting, an option or a file is wrong, or the
            database is in use.
    """
    set_thread_environment()
    os.environ.setdefault("DO_NOT_TRACK", "1")
    if not (project_folder(arguments) / "dbt_project.yml").is_file():
        raise UserError("there is no dbt_project.yml here: go to the project's folder first")
    # Here and not above, so that the other commands do not wait for dbt to load.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    print("reading the project", file=out or sys.stdout, flush=True)
    report = Report(out or sys.stdout, _files_by_node(arguments))
    try:
        result = dbtRunner(callbacks=[report.listen]).invoke(["build", *arguments, "--log-level", "none"])
    finally:
        # dbt keeps the database, and so its lock, for as long as the process lives.
        DuckDBConnectionManager.close_all_connections()
    if result.exception is not None:
        raise _plain_error(result.exception) from result.exception
    report.close()
    return bool(result.success)


def project_folder(arguments: Sequence[str]) -> Path:
    """Return the folder that dbt will read the project from."""
    for position, argument in enumerate(arguments):
        if argument == "--project-dir" and position + 1 < len(arguments):
            return Path(arguments[position + 1])
        if argument.startswith("--project-dir="):
            return Path(argument.partition("=")[2])
    return Path(os.environ.get("DBT_PROJECT_DIR", "."))


def _files_by_node(arguments: Sequence[str]) -> dict[str, str]:
    """Return the file of each node that `dbt build` with these arguments will run.

    `dbt list` knows fewer options than `dbt build`; those that it knows select the same nodes. If it
    cannot list them, stages are closed at the end of the build.
    """
    from dbt.cli.main import cli, dbtRunner

    known = {option for parameter in cli.commands["list"].params for option in parameter.opts}
    passed: list[str] = []
    keep = True
    for argument in arguments:
        if re.match(r"--?[A-Za-z]", argument):
            keep = argument.partition("=")[0] in known
        if keep:
            passed.append(argument)
    keys = ["--output", "json", "--output-keys", "unique_id", "original_file_path"]
    result = dbtRunner().invoke(["list", *passed, *keys, "--log-level", "none"])
    if not result.success:
        return {}
    nodes = (json.loads(line) for line in result.result if line.startswith("{"))
    return {
        node["unique_id"]: node["original_file_path"]
        for node in nodes
        if node["unique_id"].startswith(tuple(f"{kind}." for kind in _TABLES + _TESTS))
    }


def _stage_of(file: str) -> str:
    """Return the stage of a project file: models/features/x.sql -> features, seeds/x.csv -> seeds."""
    parts = Path(file).parts
    return parts[1] if len(parts) > 2 and parts[0] in ("models", "python_models") else parts[0]


@dataclass
class _Stage:
    """What is known of one stage so far. Rows are those of its tables; views have none to tell."""

    waiting: int = 0
    seconds: float = 0.0
    models: Counter[str] = field(default_factory=Counter)
    rows: int | None = None
    tests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Report:
    """Turns dbt's events into lines. dbt calls `listen` from several threads."""

    def __init__(self, out: TextIO, files: dict[str, str]) -> None:
        """Start a report on the nodes of `files` (unique id -> file), written to `out`."""
        self._out, self._files = out, files
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._stages: dict[str, _Stage] = {}
        self._closed: set[str] = set()
        self._warnings: dict[str, None] = {}
        for file in files.values():
            self._stages.setdefault(_stage_of(file), _Stage()).waiting += 1

    def listen(self, event: Any) -> None:
        """Take one event of dbt."""
        name = event.info.name
        if name == "NodeFinished":
            rows = _count_rows(event.data.node_info, event.data.run_result.status)
            with self._lock:
                self._finish(event.data.node_info, event.data.run_result, rows)
        elif event.info.level == "warn" and name not in _REPEATED_EVENTS:
            with self._lock:
                self._warnings.setdefault(_plain(event.info.msg))

    def close(self) -> None:
        """Write the stages that are still open, every warning once, and the totals."""
        for stage in self._stages:
            self._close(stage)
        for warning in self._warnings:
            self._say(f"warning: {warning}")
        models = sum((stage.models for stage in self._stages.values()), Counter())
        tests = sum((stage.tests for stage in self._stages.values()), Counter())
        parts = [_counts(models, "model"), _counts(tests, "test")]
        seconds = time.perf_counter() - self._started
        self._say(f"build: {'; '.join(part for part in parts if part) or 'nothing to do'}; {seconds:.1f} s")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    def _stage(self, node: Any) -> tuple[str, _Stage]:
        """Return the stage of a node with its name. Of a test, an event does not know the folder."""
        folders = {"model": "models", "seed": "seeds", "snapshot": "snapshots"}
        unlisted = f"{folders.get(node.resource_type, 'tests')}/{node.node_path}"
        name = _stage_of(self._files.get(node.unique_id, unlisted))
        return name, self._stages.setdefault(name, _Stage())

    def _finish(self, node: Any, result: Any, rows: int | None) -> None:
        name, stage = self._stage(node)
        stage.seconds += result.execution_time
        message = _plain(result.message)
        if node.resource_type in _TABLES:
            stage.models[_outcome(result.status)] += 1
            if rows is not None:
                stage.rows = (stage.rows or 0) + rows
            if result.status != "skipped":
                counted = node.materialized if rows is None else _counted(rows, "row")
                counted = "FAILED" if result.status == "error" else counted
                self._say(
                    f"{name:<16}{node.node_name:<{_NAME_WIDTH}} {counted:>18} {result.execution_time:>8.1f} s"
                )
            if result.status == "error":
                self._say(_indented(message))
        elif node.resource_type in _TESTS:
            stage.tests[_outcome(result.status)] += 1
            file = self._files.get(node.unique_id, "")
            if result.status in ("fail", "error", "warn"):
                said = _indented(f"{node.node_name}: {_broken(result, message)}{file and f' ({file})'}")
                if result.status == "warn":
                    self._warnings.setdefault(said.strip())
                else:
                    stage.failures.append(said)
        elif result.status == "error":
            self._say(_indented(message))
        if node.unique_id in self._files:
            stage.waiting -= 1
            if stage.waiting == 0:
                self._close(name)

    def _close(self, name: str) -> None:
        """Write the closing line of a stage, unless it was written before or nothing ran.

        Its seconds are those of its models and tests added up. Several run at a time, so the stages add up
        to more than the build takes.
        """
        stage = self._stages[name]
        if name in self._closed or not (stage.models or stage.tests):
            return
        self._closed.add(name)
        noun = "seed" if name == "seeds" else "model"
        rows = "" if stage.rows is None else _counted(stage.rows, "row")
        parts = [_counts(stage.models, noun), rows, _counts(stage.tests, "test")]
        self._say(f"{name:<16}= {'; '.join(part for part in parts if part)}; {stage.seconds:.1f} s")
        for failure in stage.failures:
            self._say(failure)


def _count_rows(node: Any, status: str) -> int | None:
    """Return the rows of a table that was just built, by DuckDB's own count; None if there is none."""
    if node.resource_type not in _TABLES or node.materialized == "view" or status != "success":
        return None
    try:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        relation = node.node_relation.relation_name
        with DuckDBConnectionManager.env().conn.cursor() as cursor:
            return cursor.execute(f"select count(*) from {relation}").fetchall()[0][0]
    except Exception:
        # A line without a count is better than a build that stops over one.
        return None


def _outcome(status: str) -> str:
    """Return how a count of dbt's statuses is worded."""
    words = {"success": "built", "pass": "passed", "warn": "warned", "skipped": "skipped"}
    return words.get(status, "failed")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _counts(outcomes: Counter[str], noun: str) -> str:
    """Return the counts in words: "12 models built, 2 failed", "30 tests passed"."""
    words = ("built", "passed", "warned", "failed", "skipped")
    found = [(word, outcomes[word]) for word in words if outcomes[word]]
    said = [f"{_counted(found[0][1], noun)} {found[0][0]}"] if found else []
    return ", ".join(said + [f"{number:,} {word}" for word, number in found[1:]])


def _broken(result: Any, message: str) -> str:
    """Return in words why a data test fails, or the message of a unit test or of an error."""
    if result.num_failures and message.startswith("Got "):
        return (
            f"{_counted(result.num_failures, 'row')} {'breaks' if result.num_failures == 1 else 'break'} it"
        )
    return message


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _plain(message: str) -> str:
    """Return a message of dbt without colours, wrapping and the list of macros that it came through."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message).strip()
    text = re.sub(r"^\[WARNING\]: ", "", text)
    text = re.sub(r"\n\s*\n\s*> in macro .*", "", text, flags=re.DOTALL)
    text = re.sub(r"^((Compilation|Runtime|Database) Error( in [^\n]*)?\n\s*)+", "", text)
    return text.removeprefix("manyfaces: ").rstrip()


def _plain_error(error: BaseException) -> UserError:
    """Return what stopped dbt before it built anything, in one sentence where we know one."""
    message = _plain(str(getattr(error, "msg", None) or error))
    # dbt resolves models before check_config can run, so an unknown input is first missed here.
    unknown = re.search(
        r"Model 'model\.\w+\.input_\w+' .* a node named '(\w+?)__\w+' which was not found", message
    )
    if unknown:
        return UserError(
            f"there is no input '{unknown[1]}': set var input to complete_journey, to files, or to the name "
            "of your own folder in models/inputs with one model for each table of the contract"
        )
    return database_error(error) or UserError(message)
