import sys

import pytest

from manyfaces.cli import main
from manyfaces.errors import UserError
from manyfaces.metrics import run_metricflow


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MANYFACES_DATABASE", raising=False)


def test_outside_of_a_project_nothing_is_asked():
    with pytest.raises(UserError, match=r"there is no dbt_project\.yml here"):
        run_metricflow(["list", "metrics"], "serving.duckdb")


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    (tmp_path / "dbt_project.yml").touch()
    with pytest.raises(UserError, match=r"no serving\.duckdb to ask: run `manyfaces publish` first"):
        run_metricflow(["list", "metrics"], "serving.duckdb")


def test_without_metricflow_the_way_to_get_it_is_said(tmp_path, monkeypatch):
    (tmp_path / "dbt_project.yml").touch()
    (tmp_path / "serving.duckdb").touch()
    monkeypatch.setitem(sys.modules, "dbt_metricflow.cli", None)
    with pytest.raises(UserError, match=r"pip install 'dbt-metricflow>=0\.15'"):
        run_metricflow(["list", "metrics"], "serving.duckdb")


def test_every_option_behind_the_command_goes_to_metricflow(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "manyfaces.metrics.run_metricflow", lambda passed, database: asked.append((passed, database)) or 3
    )
    assert main(["metrics", "query", "--metrics", "spend", "--help"]) == 3
    assert main(["metrics", "--database", "other.duckdb", "list", "metrics"]) == 3
    assert [passed for passed, _ in asked] == [
        ["query", "--metrics", "spend", "--help"],
        ["list", "metrics"],
    ]
    assert [str(database) for _, database in asked] == ["serving.duckdb", "other.duckdb"]
