"""Whether the condition that picks the users of a segmentation can be read by the database."""

from collections.abc import Mapping

import duckdb


def population_problem(condition: str, columns: Mapping[str, str]) -> str | None:
    """Try a condition on one row of nulls, in a database of its own.

    Args:
        condition: SQL that is true for the users to take.
        columns: Type by name of the columns that it may use.

    Returns:
        What the database objects to, in one line and without a full stop, or None.
    """
    nulls = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns.items())
    users = f"(select {nulls}) as users"
    # A condition may end in a comment, so the bracket closes on a line of its own.
    with duckdb.connect() as database:
        try:
            if len(database.extract_statements(f"select 1 from {users} where (\n{condition}\n)")) > 1:
                return "it is more than one condition"
            database.execute(f"select 1 from {users} where (\n{condition}\n)").fetchall()
            kind = database.execute(f"select (\n{condition}\n) from {users}").description[0][1]
        except duckdb.Error as error:
            return _one_line(str(error))
    return None if str(kind) == "BOOLEAN" else f"it is no condition but a value of the type {kind}"


def _one_line(message: str) -> str:
    """Return what DuckDB says without the kind of error and the place in the statement."""
    said = message.partition("\nLINE ")[0].partition("Error: ")[2] or message
    return " ".join(said.split()).removesuffix(".")
