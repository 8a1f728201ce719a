"""Who has a database file open, as far as this machine tells."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_LOCKS = Path("/proc/locks")
# A lock is told by its kind, mode, process, and the device and inode of the file.
_LOCK = re.compile(r"\d+: POSIX +\w+ +(READ|WRITE) +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")
_INTERPRETERS = re.compile(r"python[\d.]*|node|java|ruby|bash|sh")


@dataclass(frozen=True)
class Holder:
    """A process and what it runs; either may be unknown."""

    process: int | None
    program: str | None

    def __str__(self) -> str:
        """Say it: "dbt (process 123)"."""
        said = self.program or "another program"
        return said if self.process is None else f"{said} (process {self.process})"


def other_holder(path: Path | str, *, writers_only: bool = False) -> Holder | None:
    """Return another process that holds a lock on a file, one that writes first; None if none is known.

    The file is not opened: closing it would drop the locks that this process has on it.

    Args:
        path: the file.
        writers_only: leave out processes that only read, which do not hinder others that only read.
    """
    try:
        status = os.stat(path)
        text = _LOCKS.read_text()
    except OSError:
        return None
    device = os.major(status.st_dev), os.minor(status.st_dev)
    found = sorted(
        (mode == "READ", int(process))
        for mode, process, major, minor, inode in _LOCK.findall(text)
        if int(inode) == status.st_ino
        and (int(major, 16), int(minor, 16)) == device
        and not (writers_only and mode == "READ")
    )
    return next((holder(process) for _, process in found if process != os.getpid()), None)


def holder(process: int) -> Holder:
    """Return a process with the name of its program. Of processes elsewhere, the number says nothing."""
    if process <= 0:
        return Holder(None, None)
    return Holder(process, _program(process))


def _program(process: int) -> str | None:
    """Return what somebody would call the program: the script or module, not the interpreter that runs it."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    names = [Path(word).name for word in words if word]
    if not names:
        return None
    if _INTERPRETERS.fullmatch(names[0]):
        if words[1:2] == ["-m"] and len(names) > 2:
            return names[2]
        if len(names) > 1 and not words[1].startswith("-"):
            return names[1]
    return names[0]
