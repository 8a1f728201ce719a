"""Shared fixtures: one parsed manifest of the project for every test that reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from manyfaces.threads import set_thread_environment

# Before anything loads torch or scikit-learn.
set_thread_environment()

PROJECT = Path(__file__).resolve().parents[2]


# Sources that lists draw on, or whose models are made, only when they are named.
FITTED_SOURCES = ["als", "graph_filter", "variational", "next_item", "user_neighbour"]
FURTHER_SOURCES = [
    *("distinctive", "rising", "item_neighbours", "social", "attribute", "new_item"),
    *FITTED_SOURCES,
]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The parsed project, as dbt sees it with every source and the models of the backtest."""
    target = tmp_path_factory.mktemp("manifest")
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    given = json.dumps({"backtest": True, "sources": settings["sources"] + FURTHER_SOURCES})
    environment = os.environ | {"MANYFACES_DATABASE": str(target / "parse.duckdb")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "parse", "--target-path", str(target), "--vars", given],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((target / "manifest.json").read_text())
