"""One self-contained HTML file that shows what a build made, from the marts alone."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from manyfaces.errors import UserError, database_error


@dataclass(frozen=True)
class Written:
    """The report that was written: its file, its bytes, and the seconds that it took."""

    path: Path
    bytes: int
    seconds: float


def write_report(database: Path | str, target: Path | str, language: str | None = None) -> Written:
    """Write the report of a published file.

    Args:
        database: the file that `manyfaces publish` wrote; it is only read.
        target: the HTML file to write, in place of the last one.
        language: en or zh; by default that of the build.

    Raises:
        UserError: the file is missing or holds no marts, the target cannot be written, or a package is
            missing.
    """
    started = time.perf_counter()
    database, target = Path(database), Path(target)
    if not database.is_file():
        raise UserError(f"there is no {database.name}: run `manyfaces build` and `manyfaces publish` first")
    if target.is_dir():
        raise UserError(f"{target} is a folder: name a file with --to, such as {target / 'report.html'}")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent} for the report: create it, or change --to")
    try:
        from manyfaces.report.page import render
        from manyfaces.report.parts import Report
        from manyfaces.report.queries import Marts, build_info
        from manyfaces.report.wording import LANGUAGES, Wording
    except ModuleNotFoundError as error:
        raise UserError(
            f"the report needs the package {error.name}: install what is missing with "
            "`pip install 'manyfaces[report]'`, or run `make env`"
        ) from error
    if language is not None and language not in LANGUAGES:
        raise UserError(f"there is no report in {language!r}: --language is one of {', '.join(LANGUAGES)}")
    try:
        with duckdb.connect(database, read_only=True) as connection:
            marts = Marts(connection)
            if not marts.names:
                raise UserError(f"{database.name} holds no marts: run `manyfaces publish` first")
            built_in = str(build_info(marts).get("language") or "en")
            words = Wording(language or (built_in if built_in in LANGUAGES else "en"))
            text = render(Report(marts, words), database.name)
    except duckdb.Error as error:
        raise database_error(error, database) or UserError(f"{database.name}: {error}") from error
    size = _write(target, text)
    return Written(target, size, time.perf_counter() - started)


def _write(target: Path, text: str) -> int:
    """Write the file whole or not at all."""
    copy = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    try:
        size = copy.write_bytes(text.encode("utf-8", errors="replace"))
        os.replace(copy, target)
    except OSError as error:
        raise UserError(f"{target.name} could not be written: {error.strerror or error}") from error
    finally:
        copy.unlink(missing_ok=True)
    return size
