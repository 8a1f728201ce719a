"""What a backtest shows at its end, read from the files that it kept."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import duckdb
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

LISTS = {"for_you": "repeats allowed", "discover": "only what is new to a user"}
WIDTH = 140
K = 20


def print_backtest(folder: Path, files: Sequence[str], out: TextIO) -> None:
    """Print the results of some walls: strategies, groups by length of history, segmentations.

    Args:
        folder: var backtest_dir, with a folder for each table.
        files: the file of each wall, earliest first.
        out: where to print.
    """
    width = max(100, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    for file in files:
        with duckdb.connect() as connection:
            for table in ("recommendation_quality", "segmentation_uplift"):
                path = str(folder / table / file).replace("'", "''")
                connection.execute(f"create view {table} as from read_parquet('{path}')").fetchall()
            for name, meaning in LISTS.items():
                _print_list(connection, console, name, meaning)
    console.print(
        Text(
            f"\nNDCG, recall and hit rate at {K}, on items with enough users before the wall (scope "
            "supported), averaged over users with something to find; 95 % intervals, paired bootstrap. "
            f"All figures are in {folder.name}/ and in marts.recommendation_quality."
        )
    )


def _print_list(connection: duckdb.DuckDBPyConnection, console: Console, name: str, meaning: str) -> None:
    rows = connection.execute(
        """
        select
            one.strategy, one.ndcg, one.ndcg_low, one.ndcg_high,
            one.ndcg_over_popular, one.ndcg_over_popular_low, one.ndcg_over_popular_high,
            one.recall, one.hit_rate, one.coverage, everything.ndcg as ndcg_of_all,
            one.as_of, one.until, one.users
        from recommendation_quality as one
        left join recommendation_quality as everything
            on one.strategy = everything.strategy and one.list = everything.list and one.k = everything.k
            and everything.scope = 'all' and everything.group_kind = 'all'
        where one.list = ? and one.scope = 'supported' and one.k = ? and one.group_kind = 'all'
        order by one.ndcg desc, one.strategy
        """,
        [name, K],
    ).fetchall()
    if not rows:
        return
    as_of, until, users = rows[0][-3:]
    console.print(
        Text(f"\nList {name} ({meaning}), {as_of} to {until}, {users:,} users", style="bold"), soft_wrap=True
    )
    _print_table(
        console,
        [
            *("strategy", "NDCG", "interval", "over popular", "interval"),
            *("recall", "hit rate", "coverage", "NDCG of all"),
        ],
        [
            (
                strategy,
                _number(ndcg),
                _interval(low, high),
                _signed(over),
                _interval(over_low, over_high, _signed),
                *map(_number, others[:4]),
            )
            for strategy, ndcg, low, high, over, over_low, over_high, *others in rows
        ],
    )
    groups = connection.execute(
        """
        select
            group_value, users, ndcg, ndcg_over_popular, ndcg_over_popular_low, ndcg_over_popular_high
        from recommendation_quality
        where list = ? and scope = 'supported' and k = ? and group_kind = 'history' and strategy = 'blend'
        order by array_position(['0', '1-4', '0-4', '5-19', '20+'], group_value)
        """,
        [name, K],
    ).fetchall()
    _print_table(
        console,
        ["blend, by events before the wall", "users", "NDCG", "over popular", "interval"],
        [
            (group, f"{users:,}", _number(ndcg), _signed(over), _interval(low, high, _signed))
            for group, users, ndcg, over, low, high in groups
        ],
    )
    uplift = connection.execute(
        """
        select segmentation, ndcg, ndcg_over_none, ndcg_over_none_low, ndcg_over_none_high, verdict
        from segmentation_uplift
        where list = ?
        order by ndcg desc, segmentation
        """,
        [name],
    ).fetchall()
    _print_table(
        console,
        ["with segments of", "NDCG", "over none", "interval", "verdict"],
        [
            (segmentation, _number(ndcg), _signed(over), _interval(low, high, _signed), verdict)
            for segmentation, ndcg, over, low, high, verdict in uplift
        ],
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _interval(low: float | None, high: float | None, word=_number) -> str:
    return "" if low is None else f"{word(low)} to {word(high)}"


def _print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, column in enumerate(columns):
        is_text = position == 0 or column == "verdict"
        table.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    console.print()
