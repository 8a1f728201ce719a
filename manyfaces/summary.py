"""What `make` shows at the end: counts, segments and one user's lists, read from the published file."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TextIO

import duckdb
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from manyfaces.errors import UserError, database_error

LISTS = {"for_you": "repeats allowed", "discover": "only what is new to this user"}
NUMBERS = ("users", "share", "rank", "fallback")
ROWS = 10
SEGMENTS = 12
WIDTH = 140


def print_summary(database: Path | str, out: TextIO | None = None) -> None:
    """Print what a published file holds. Nothing in it is random, so two equal builds print the same.

    Args:
        database: the file that `manyfaces publish` wrote.
        out: where to print; standard output by default.

    Raises:
        UserError: the file is missing, cannot be read or holds no marts.
    """
    database = Path(database)
    if not database.is_file():
        raise UserError(f"there is no {database.name}: run `manyfaces build` and `manyfaces publish` first")
    out = out or sys.stdout
    width = max(80, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    try:
        with duckdb.connect(database, read_only=True) as connection:
            summary = _Summary(connection, console)
            if not summary.tables:
                raise UserError(f"{database.name} holds no marts: run `manyfaces publish` first")
            summary.events()
            summary.segments()
            summary.one_user()
    except duckdb.Error as error:
        raise database_error(error, database, is_published=True) or UserError(
            f"{database.name}: {error}"
        ) from error
    _next_steps(console, database)


class _Summary:
    """The parts of the summary. A part whose table is missing or empty says so in a line."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, console: Console) -> None:
        self._connection, self._console = connection, console
        self.tables = {
            name
            for (name,) in self._rows("select table_name from duckdb_tables() where schema_name = 'marts'")
        }

    def events(self) -> None:
        """Where the raw rows went, and how much was made of them."""
        self._heading("Data")
        lines: dict[str, int] = {}
        rejected = []
        failed = []
        if "data_quality" in self.tables:
            for line, reason, rows, is_ok, name in self._rows(
                "select line, reason, row_count, is_ok, check_name from marts.data_quality "
                "order by row_count desc, check_name"
            ):
                lines[line] = lines.get(line, 0) + (rows or 0)
                if line == "rejected" and rows:
                    rejected.append(f"{reason.replace('_', ' ')} {rows:,}")
                if not is_ok:
                    failed.append(name)
        if not lines.get("raw"):
            self._say("No events: the input is empty.")
        else:
            reasons = f" ({', '.join(rejected)})" if rejected else ""
            capped = f"; {lines['capped']:,} values capped" if lines.get("capped") else ""
            self._say(
                f"{lines['raw']:,} raw events: {lines.get('clean', 0):,} clean, "
                f"{lines.get('rejected', 0):,} rejected{reasons}{capped}."
            )
        if lines:
            self._say(
                f"Checks that fail: {', '.join(failed)}." if failed else "Every raw row is accounted for."
            )
        counts = [
            ("users in segments", "count(distinct user_key)", "user_segments"),
            ("users with lists", "count(distinct user_key)", "user_recommendations"),
            ("recommended items", "count(distinct item_id)", "user_recommendations"),
            ("items with similar items", "count(distinct item_id)", "similar_items"),
        ]
        self._say(
            ", ".join(
                f"{self._rows(f'select {expression} from marts.{table}')[0][0]:,} {noun}"
                for noun, expression, table in counts
                if table in self.tables
            )
            + "."
        )

    def segments(self) -> None:
        """One table for each segmentation, largest segments first."""
        rows = (
            self._rows(
                "select segmentation, segment_id, name, users, share, "
                "coalesce(distinguishing_categories, description) from marts.segments "
                "order by segmentation, users desc, segment_id"
            )
            if "segments" in self.tables
            else []
        )
        if not rows:
            self._heading("Segments")
            self._say("No segments: there are no users with events.")
        for segmentation, members in groupby(rows, key=lambda row: row[0]):
            found = list(members)
            self._heading(f"Segmentation {segmentation}: {_counted(len(found), 'segment')}")
            self._table(
                [("segment", 36), ("users", 12), ("share", 7), ("what sets it apart", WIDTH)],
                (
                    (name, f"{users:,}", f"{100 * share:.1f} %", difference)
                    for _, _, name, users, share, difference in found[:SEGMENTS]
                ),
            )
            if len(found) > SEGMENTS:
                self._say(f"... and {len(found) - SEGMENTS} smaller ones in marts.segments")

    def one_user(self) -> None:
        """The lists of one user with a segment, who has a middling number of personal items in them."""
        users = (
            self._rows(
                """
                with users as (
                    select
                        user_key,
                        max(segment_id) is not null as has_segment,
                        count(*) filter (where fallback_level = 0) as personal_items
                    from marts.user_recommendations
                    group by user_key
                ),
                middle as (
                    select quantile_disc(personal_items, 0.5) as personal_items from users
                )
                select users.user_key
                from users
                cross join middle
                order by
                    not users.has_segment, abs(users.personal_items - middle.personal_items), users.user_key
                limit 1
                """
            )
            if "user_recommendations" in self.tables
            else []
        )
        if not users:
            self._heading("Recommendations")
            self._say("No recommendations: there are no users with events.")
            return
        user = users[0][0]
        self._heading(f"One user: {user}")
        if "user_segments" in self.tables:
            self._table(
                [("segmentation", 20), ("segment", 36), ("why", WIDTH)],
                self._rows(
                    "select segmentation, segment_name, reason from marts.user_segments "
                    "where user_key = ? order by segmentation",
                    user,
                ),
            )
        for name, meaning in LISTS.items():
            rows = self._rows(
                "select rank, title, source, fallback_level, reason "
                "from marts.user_recommendations "
                f"where user_key = ? and list = ? order by rank limit {ROWS}",
                user,
                name,
            )
            self._heading(f"List {name}: {meaning}")
            if not rows:
                self._say("This list is empty.")
                continue
            self._table(
                [
                    ("rank", 4),
                    ("title", self._console.width // 4),
                    ("source", 13),
                    ("fallback", 8),
                    ("reason", WIDTH),
                ],
                (
                    (str(rank), title, source, str(fallback), reason)
                    for rank, title, source, fallback, reason in rows
                ),
            )

    def _rows(self, query: str, *parameters: object) -> list[tuple]:
        return self._connection.execute(query, list(parameters)).fetchall()

    def _heading(self, text: str) -> None:
        self._console.print(Text(f"\n{text}", style="bold"))

    def _say(self, text: str) -> None:
        self._console.print(Text(text))

    def _table(self, columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[str | None]]) -> None:
        """Print rows. A column is as wide as it needs, up to its limit; the last one takes what is left."""
        cells = [[value or "" for value in row] for row in rows]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        left = self._console.width
        for index, (name, limit) in enumerate(columns):
            # cell_len counts columns of the screen: a Chinese character takes two.
            needed = max([cell_len(name), *(cell_len(row[index]) for row in cells)])
            width = max(min(needed, limit if index < len(columns) - 1 else left), 1)
            left -= width + 3
            justify = "right" if name in NUMBERS else "left"
            table.add_column(name, width=width, justify=justify, no_wrap=True, overflow="ellipsis")
        for row in cells:
            table.add_row(*map(Text, row))
        self._console.print(table)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _next_steps(console: Console, database: Path) -> None:
    """Print commands that work as they stand, from the folder that the reader is in."""
    folder = Path(sys.executable).parent
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    command = "" if Path(shutil.which("python") or "").parent == Path(sys.executable).parent else f"{folder}/"
    name = os.path.relpath(database)
    query = "from marts.user_recommendations limit 20"
    show = f"import duckdb; duckdb.connect({name!r}, read_only=True).sql({query!r}).show()"
    steps = [
        ("ask in SQL", f'duckdb -readonly {shlex.quote(name)} "{query}"')
        if shutil.which("duckdb")
        else ("ask in SQL", f'{command}python -c "{show}"'),
        ("see it in a browser", f"{command}manyfaces report"),
        ("read about every table", f"{command}dbt docs generate && {command}dbt docs serve"),
        ("use your own data", f"{command}manyfaces build --vars '{{input: files, files_dir: data}}'"),
        ("test everything", "make test"),
    ]
    console.print(Text("\nNext", style="bold"))
    for purpose, step in steps:
        # Whole, whatever the width: it is there to be copied.
        print(f"{purpose:<24}{step}", file=console.file)
