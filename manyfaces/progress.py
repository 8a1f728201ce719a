"""Progress lines for long steps, written to stderr so that they never mix with data."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


def say(message: str) -> None:
    """Print one line to stderr at once, marked as coming from Manyfaces."""
    print(f"  manyfaces | {message}", file=sys.stderr, flush=True)


@dataclass
class Stage:
    """What a running stage reports when it ends; set `rows` as soon as the number is known."""

    rows: int | None = None


@contextmanager
def stage(name: str, rows: int | None = None) -> Iterator[Stage]:
    """Report "name: 12,345 rows, 3.2 s" when the block ends, or that it failed and after how long."""
    current = Stage(rows)
    started = time.perf_counter()
    try:
        yield current
    except BaseException:
        say(f"{name}: failed after {time.perf_counter() - started:.1f} s")
        raise
    counted = "" if current.rows is None else f"{current.rows:,} rows, "
    say(f"{name}: {counted}{time.perf_counter() - started:.1f} s")


class Ticker:
    """Says how far a loop is, at most every few seconds: "name: 1,200 of 8,000, 410/s"."""

    def __init__(self, name: str, total: int, every_seconds: float = 3.0) -> None:
        """Start the clock for `total` units of work."""
        self._name, self._total, self._every = name, total, every_seconds
        self._started = self._spoken = time.perf_counter()

    def update(self, done: int) -> None:
        """Report `done` units of `total`, unless the last line is younger than `every_seconds`."""
        now = time.perf_counter()
        if now - self._spoken >= self._every:
            self._spoken = now
            rate = done / max(now - self._started, 1e-9)
            say(f"{self._name}: {done:,} of {self._total:,}, {rate:,.0f}/s")
