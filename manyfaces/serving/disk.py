"""What publishing to disk needs: one publish at a time, nothing left behind, what is written stays."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from manyfaces.errors import UserError, database_error, is_disk_full


@contextmanager
def publishing(target: Path, source: Path) -> Iterator[Path]:
    """Have a target to oneself for the time of a publish, and say in a sentence what goes wrong.

    Yields:
        a name beside the target for what is unfinished. Whatever has a name that begins like it is removed
        in the end, as is what a killed publish left.

    Raises:
        UserError: the folder is missing or cannot be written, the disk is full, the source cannot be read.
    """
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent} to publish into: create it, or change --to")
    own = f"{target.name}.tmp-{os.getpid()}"
    try:
        with _one_at_a_time(target.parent) as is_alone:
            _remove(target.parent, f"{target.name}.tmp-*" if is_alone else f"{own}*")
            try:
                yield target.with_name(own)
            finally:
                _remove(target.parent, f"{own}*")
    except (duckdb.Error, OSError) as error:
        if is_disk_full(error):
            raise UserError(
                f"no space is left to write {target.name} in {target.parent}: make room for a whole build "
                "and publish again; what was published before is as it was"
            ) from error
        if isinstance(error, OSError):
            raise UserError(f"{target.name} could not be written: {error.strerror or error}") from error
        raise database_error(error) or UserError(f"{source.name} could not be published: {error}") from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[bool]:
    """Wait until nobody else publishes into a folder; False where its file system cannot tell."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            is_alone = True
        except OSError:
            is_alone = False
        yield is_alone
    finally:
        os.close(handle)


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make a file, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
