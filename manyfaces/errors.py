"""Errors that their reader can mend: shown as one plain sentence, without a traceback."""

import errno
import os
import re
from pathlib import Path

from manyfaces.locks import Holder, holder, other_holder


class UserError(Exception):
    """A mistake in settings, files or timing. The text says what to do."""


def database_error(
    error: BaseException, path: Path | str | None = None, *, is_published: bool = False
) -> UserError | None:
    """Return a plain sentence for the ways in which DuckDB cannot open a file, else None.

    Args:
        error: what DuckDB, or dbt around it, raised.
        path: the database file, where it is known; otherwise it is read from the error.
        is_published: whether it is the file that readers open, and not the one that dbt writes.
    """
    text = str(error)
    named = re.search(r'file "([^"]+)"', text)
    file = Path(path) if path is not None else Path(named[1]) if named else None
    name = file.name if file else "the database"
    if "Could not set lock on file" in text:
        told = re.search(r"\(PID (\d+)\)", text)
        known = holder(int(told[1])) if told and int(told[1]) != os.getpid() else None
        return in_use(name, known or (other_holder(file) if file else None), is_published=is_published)
    if "not a valid DuckDB database file" in text:
        return UserError(f"{name} is not a DuckDB database: delete it, or name another file")
    if "newer version of DuckDB" in text or "with version number" in text:
        return UserError(f"{name} was written by another version of DuckDB: delete it and build it again")
    return None


def in_use(name: str, by: Holder | None, *, is_published: bool = False) -> UserError:
    """Return the sentence for a file that another process has open, so that this one cannot."""
    said = f"{name} is open in {by or Holder(None, None)}"
    if is_published:
        return UserError(f"{said}, which may write to it: close it there, and open it read-only")
    return UserError(
        f"{said}: wait until it is done or close it, and open serving.duckdb instead to look at tables "
        "(it can stay open while a build runs)"
    )


def is_disk_full(error: BaseException) -> bool:
    """Return whether the system, or DuckDB, could not write for want of space."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reasons = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
    return any(reason in str(error) for reason in [*reasons, "Could not write all bytes to file"])
