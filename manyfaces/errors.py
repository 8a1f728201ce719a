"""Errors that their reader can mend: shown as one plain sentence, without a traceback."""

import os
import re
from pathlib import Path


class UserError(Exception):
    """A mistake in settings, files or timing. The text says what to do."""


def database_error(error: BaseException, path: Path | str | None = None) -> UserError | None:
    """Return a plain sentence for the ways in which DuckDB cannot open a file, else None.

    Args:
        error: what DuckDB, or dbt around it, raised.
        path: the database file, where it is known; otherwise it is read from the error.
    """
    text = str(error)
    named = re.search(r'file "([^"]+)"', text)
    file = Path(path) if path is not None else Path(named[1]) if named else None
    name = file.name if file else "the database"
    if "Could not set lock on file" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        process = f" (process {holder[1]})" if holder and int(holder[1]) != os.getpid() else ""
        return UserError(
            f"another program{process} has {name} open: close it, and open serving.duckdb instead "
            "(it can stay open while a build runs)"
        )
    if "not a valid DuckDB database file" in text:
        return UserError(f"{name} is not a DuckDB database: delete it, or name another file")
    if "newer version of DuckDB" in text or "with version number" in text:
        return UserError(f"{name} was written by another version of DuckDB: delete it and build it again")
    return None
