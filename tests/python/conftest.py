"""Shared fixtures: one parsed manifest of the project for every test that reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manyfaces.threads import set_thread_environment

# Before anything loads torch or scikit-learn.
set_thread_environment()

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The parsed project, as dbt sees it with the default settings and the models of the backtest."""
    target = tmp_path_factory.mktemp("manifest")
    environment = os.environ | {"MANYFACES_DATABASE": str(target / "parse.duckdb")}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "parse",
            "--target-path",
            str(target),
            "--vars",
            "backtest: true",
        ],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((target / "manifest.json").read_text())
