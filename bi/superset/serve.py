"""Serves the dashboards on 127.0.0.1: makes Superset ready if need be, starts it and says where it is."""

import argparse
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundle import fill, read_bundle, write_zip

from manyfaces.errors import UserError

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
ADDRESS = "127.0.0.1"
DASHBOARD = "superset/dashboard/manyfaces-segments/"
ADMINISTRATOR = "admin"
PASSWORD = "SUPERSET_ADMIN_PASSWORD"
# How long a start may take on a slow machine before it counts as failed.
START_SECONDS = 300


class Superset:
    """A Superset with an environment and a home folder, in which all that it writes stays."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that holds venv and home."""
        self.python = folder / "venv" / "bin" / "python"
        self.home = folder / "home"

    def prepare(self, serving: Path) -> str | None:
        """Make the home ready for a serving file, unless it is.

        Returns:
            The password of the administrator, if this made one up.

        Raises:
            UserError: Superset is not installed, or the file is not one that the dashboards can show.
        """
        if not self.python.exists():
            raise UserError("Superset is not installed: run `make superset`, which installs it")
        contents = fill(read_bundle(), serving)
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_secret_key()
        prepared, state = self.home / "prepared", self._state(contents)
        if prepared.exists() and prepared.read_text() == state:
            return None
        is_new = not prepared.exists()
        password = os.environ.get(PASSWORD) or secrets.token_urlsafe(12)
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle.zip"
            write_zip(contents, bundle)
            done = subprocess.run(
                [self.python, HERE / "prepare.py", bundle],
                env=self.environment() | {"SUPERSET_ADMIN": ADMINISTRATOR, PASSWORD: password},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            log = self.home / "prepare.log"
            log.write_text(done.stdout + done.stderr)
            raise UserError(f"Superset could not be made ready, {log} says why")
        prepared.write_text(state)
        return password if is_new and not os.environ.get(PASSWORD) else None

    @contextmanager
    def serve(self, port: int) -> Iterator[subprocess.Popen]:
        """Run the server, from when it answers until the end of the block.

        Raises:
            UserError: the port is taken, or the server does not start.
        """
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError as error:
                raise UserError(f"port {port} of {ADDRESS} is taken: choose another with PORT=N") from error
        command = [self.python, "-m", "gunicorn", "--bind", f"{ADDRESS}:{port}", "--workers", "1"]
        command += ["--worker-class", "gthread", "--threads", "8", "--timeout", "120"]
        log = self.home / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [*command, "superset.app:create_app()"],
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                self._wait(server, port, log)
                yield server
            finally:
                server.terminate()
                server.wait()

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of this Superset."""
        # What Superset imports must not depend on the environment that starts it.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return kept | {
            "FLASK_APP": "superset.app:create_app()",
            "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
            "SUPERSET_HOME": str(self.home.absolute()),
        }

    def _make_secret_key(self) -> None:
        path = self.home / "secret_key"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(42))

    def _state(self, contents: dict) -> str:
        """Return a hash of all that the home is made from."""
        made_from = [(HERE / name).read_text() for name in ("requirements.txt", "prepare.py")]
        return hashlib.sha256(repr([*made_from, contents]).encode()).hexdigest()

    def _wait(self, server: subprocess.Popen, port: int, log: Path) -> None:
        until = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://{ADDRESS}:{port}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise UserError(f"Superset did not start, {log} says why")


def main() -> int:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--database", metavar="FILE", type=Path, default=PROJECT / "serving.duckdb")
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--folder", type=Path, default=PROJECT / ".superset", help="of venv and home")
    options = parser.parse_args()
    # A stop from outside ends the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    superset = Superset(options.folder)
    try:
        password = superset.prepare(options.database)
        with superset.serve(options.port) as server:
            print(f"http://{ADDRESS}:{options.port}/{DASHBOARD} (Ctrl-C stops it)", flush=True)
            if password:
                print(f"log in as {ADMINISTRATOR} with {password}, which is not shown again", flush=True)
            return server.wait()
    except UserError as error:
        print(f"superset: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
