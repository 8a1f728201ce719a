"""Writes the answers of docs/cookbook.md anew from a published file: python docs/cookbook.py serving.duckdb.

A question is a heading, a text, a query and its answer as a table. The answer is never written by hand:
this script replaces it, and the tests hold it against the default build.
"""

import argparse
import datetime
import decimal
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

PAGE = Path(__file__).with_name("cookbook.md")
_QUESTION = re.compile(
    r"^## (?P<title>\d+\. .*?)\n(?P<text>.*?)```sql\n(?P<query>.*?)```\n\n(?P<answer>(?:\|[^\n]*\n)+)",
    flags=re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile("DECIMAL|DOUBLE|FLOAT|U?(TINY|SMALL|BIG|HUGE)?INT")
_FINGERPRINT = re.compile(r"<!-- (?P<kind>\w+) build: (?P<fingerprint>\w+) -->")


# What was measured differs from build to build.
MEASURED = ("seconds",)


@dataclass(frozen=True)
class Question:
    """One question of the page: heading, query, answer as Markdown, and the build that answers it."""

    title: str
    query: str
    answer: str
    build: str  # default, backtest (make backtest) or history (make history)


def questions(page: str) -> list[Question]:
    """Return the questions of a page, in order."""
    return [
        Question(
            found["title"],
            found["query"],
            found["answer"],
            next((kind for kind in ("backtest", "history") if f"`make {kind}`" in found["text"]), "default"),
        )
        for found in _QUESTION.finditer(page)
    ]


def answer(
    connection: duckdb.DuckDBPyConnection, query: str
) -> tuple[list[str], list[list[str]], list[bool]]:
    """Run a query.

    Returns:
        The names of its columns, its rows as texts, and which columns hold numbers.
    """
    result = connection.execute(query)
    names = [column[0] for column in result.description]
    is_number = [bool(_NUMBER.match(str(column[1]))) for column in result.description]
    rows = result.fetchall()
    columns = [_texts(column) for column in zip(*rows, strict=True)]
    return names, [list(row) for row in zip(*columns, strict=True)], is_number


def _texts(values: Sequence[object]) -> list[str]:
    """Write the values of a column, numbers with as many decimals as one of them needs, six at most."""
    digits = max((_decimals(value) for value in values), default=0)
    return [_text(value, digits) for value in values]


def _decimals(value: object) -> int:
    if isinstance(value, decimal.Decimal):
        return -int(value.as_tuple().exponent)
    return len(f"{value:.6f}".rstrip("0").partition(".")[2]) if isinstance(value, float) else 0


def _text(value: object, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | decimal.Decimal):
        return f"{value:,.{digits}f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(names: Sequence[str], rows: Sequence[Sequence[str]], is_number: Sequence[bool]) -> str:
    """Write an answer as a table in Markdown, numbers to the right."""
    lines = [names, ["---:" if right else "---" for right in is_number], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def build_kinds(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Say which questions a file can answer: of several walls, or the others, and of a backtest."""

    def value(query: str) -> int:
        return connection.execute(query).fetchall()[0][0]

    kinds = (
        {"history"} if value("select count(distinct as_of) from marts.segment_history") > 1 else {"default"}
    )
    if "default" in kinds and value("select count(*) from marts.recommendation_quality"):
        kinds.add("backtest")
    return kinds


def fingerprint(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a hash of the segments and the lists: builds on other processors may differ in both."""
    digest = hashlib.sha256()
    for query in (
        "select segment_id, name, users from marts.segments order by all",
        "select list, segment_id, source, fallback_level, rows, items from marts.recommendation_overview "
        "order by all",
    ):
        for row in connection.execute(query).fetchall():
            digest.update(repr(row).encode())
    return digest.hexdigest()[:16]


def fingerprints(page: str) -> dict[str, str]:
    """Return the fingerprints of the builds that the page shows, by kind."""
    return {found["kind"]: found["fingerprint"] for found in _FINGERPRINT.finditer(page)}


def rewritten(page: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the page with the answers of this build; questions that it cannot answer keep theirs."""
    kinds = build_kinds(connection)
    shown = {question.title: question for question in questions(page)}

    def replaced(found: re.Match) -> str:
        question = shown[found["title"]]
        if question.build not in kinds:
            return found[0]
        return found[0].replace(found["answer"], table(*answer(connection, question.query)))

    def marked(found: re.Match) -> str:
        kind = found["kind"]
        return f"<!-- {kind} build: {fingerprint(connection)} -->" if kind in kinds else found[0]

    return _FINGERPRINT.sub(marked, _QUESTION.sub(replaced, page))


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path, nargs="?", default=Path("serving.duckdb"))
    options = parser.parse_args(arguments)
    if not options.database.is_file():
        sys.exit(f"there is no {options.database}: run make first")
    with duckdb.connect(options.database, read_only=True) as connection:
        page = PAGE.read_text()
        new = rewritten(page, connection)
        kinds = ", ".join(sorted(build_kinds(connection)))
    PAGE.write_text(new)
    changed = sum(before != after for before, after in zip(questions(page), questions(new), strict=True))
    print(f"{PAGE.name}: {changed} answers changed, of questions for a {kinds} build")
    return 0


if __name__ == "__main__":
    sys.exit(main())
