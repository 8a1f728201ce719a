"""The server of bi/superset, with a stand-in for Superset: what it writes and says."""

import os
import socket
import stat
import subprocess
import sys

import pytest
from conftest import PROJECT
from serve import ADDRESS, PASSWORD, Superset
from superset_marts import write_serving

from manyfaces.errors import UserError

FOLDER = PROJECT / "bi" / "superset"


@pytest.fixture(scope="module")
def serving(manifest, tmp_path_factory):
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    return write_serving(tmp_path_factory.mktemp("serve") / "serving.duckdb", models)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A Superset whose Python is a script that notes how it was called; give it what it should do."""
    monkeypatch.delenv(PASSWORD, raising=False)

    def make(script):
        python = tmp_path / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/bin/sh\necho "$SUPERSET_ADMIN_PASSWORD" >> {tmp_path}/calls\n{script}\n')
        python.chmod(0o755)
        return Superset(tmp_path)

    return make


def calls(superset):
    return (superset.home.parent / "calls").read_text().splitlines()


def test_a_password_is_made_up_once_and_the_second_start_has_nothing_to_prepare(stand_in, serving):
    superset = stand_in("exit 0")
    password = superset.prepare(serving)
    assert calls(superset) == [password]
    assert len(password) >= 16
    assert superset.prepare(serving) is None
    assert len(calls(superset)) == 1


def test_a_password_that_is_given_is_used_and_not_told(stand_in, serving, monkeypatch):
    superset = stand_in("exit 0")
    monkeypatch.setenv(PASSWORD, "given")
    assert superset.prepare(serving) is None
    assert calls(superset) == ["given"]


def test_another_file_is_prepared_again_without_a_new_password(stand_in, serving, tmp_path):
    superset = stand_in("exit 0")
    superset.prepare(serving)
    other = tmp_path / "other.duckdb"
    os.link(serving, other)
    assert superset.prepare(other) is None
    assert len(calls(superset)) == 2


def test_the_secret_key_stays_and_is_for_the_owner_only(stand_in, serving):
    superset = stand_in("exit 0")
    superset.prepare(serving)
    key = superset.home / "secret_key"
    text = key.read_text()
    (superset.home / "prepared").unlink()
    superset.prepare(serving)
    assert key.read_text() == text
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(superset.home.stat().st_mode) == 0o700


def test_what_fails_is_a_sentence_with_the_place_of_the_log(stand_in, serving):
    superset = stand_in("echo broken; exit 1")
    with pytest.raises(UserError, match=r"could not be made ready, .*prepare\.log says why"):
        superset.prepare(serving)
    assert "broken" in (superset.home / "prepare.log").read_text()
    assert not (superset.home / "prepared").exists()
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    with (
        pytest.raises(UserError, match=r"did not start, .*server\.log says why"),
        superset.serve(port),
    ):
        pass


def test_a_taken_port_is_a_plain_sentence(stand_in):
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"port {port} of 127.0.0.1 is taken: choose another with PORT=N"),
            stand_in("exit 0").serve(port),
        ):
            pass


def test_a_missing_superset_is_a_plain_sentence(serving, tmp_path):
    done = start(tmp_path, serving)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "superset: Superset is not installed: run `make superset`, which installs it\n"


def test_a_missing_file_is_a_plain_sentence(stand_in, tmp_path):
    stand_in("exit 0")
    done = start(tmp_path, tmp_path / "none.duckdb")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"superset: there is no file {tmp_path / 'none.duckdb'}: run `make publish` first, "
        "or name another with SERVING=FILE\n"
    )


def start(folder, serving):
    return subprocess.run(
        [sys.executable, FOLDER / "serve.py", "--folder", folder, "--database", serving],
        capture_output=True,
        text=True,
        check=False,
    )
