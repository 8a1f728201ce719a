import subprocess
import sys
from pathlib import Path

import pytest
from small_warehouse import write_warehouse

from manyfaces import build as build_module
from manyfaces import walls as walls_module
from manyfaces.cli import main
from manyfaces.errors import UserError


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MANYFACES_DATABASE", raising=False)
    monkeypatch.delenv("MANYFACES_DEBUG", raising=False)


@pytest.mark.parametrize(
    "arguments", [["publish"], ["publish-parquet"], ["publish-postgres"], ["summary"], ["build"]]
)
def test_an_error_is_one_sentence_on_stderr(arguments, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("manyfaces: there is no ")
    assert printed.err.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("MANYFACES_DEBUG", "1")
    with pytest.raises(UserError):
        main(["publish"])


def test_an_error_that_nobody_thought_of_is_told_apart_from_a_mistake_of_the_user(monkeypatch, capsys):
    def broken(_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(build_module, "build", broken)
    assert main(["build"]) == 1
    assert capsys.readouterr().err == "manyfaces: ZeroDivisionError: division by zero\n"


def test_an_unknown_command_is_refused_with_the_list_of_commands(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bulid"])
    assert "build" in capsys.readouterr().err


@pytest.mark.parametrize(("succeeded", "code"), [(True, 0), (False, 1)])
def test_build_passes_every_option_on_and_tells_by_its_code_how_it_went(monkeypatch, succeeded, code):
    passed = []
    monkeypatch.setattr(build_module, "build", lambda arguments: passed.append(arguments) or succeeded)
    options = ["--vars", "{top_n: 5}", "--select", "marts", "+segments", "--full-refresh", "--version-check"]
    assert main(["build", *options]) == code
    assert passed == [options]


def test_walls_are_the_command_s_own_options_and_the_others_are_passed_on(monkeypatch):
    passed = []
    monkeypatch.setattr(walls_module, "build_walls", lambda *arguments: passed.append(arguments) or True)
    assert main(["build", "--walls", "4", "--vars", "{top_n: 5}"]) == 0
    assert main(["build", "--full-refresh", "--days=7", "--walls=2"]) == 0
    assert passed == [
        (["--vars", "{top_n: 5}"], 4, 28, "warehouse.duckdb"),
        (["--full-refresh"], 2, 7, "warehouse.duckdb"),
    ]


def test_publish_writes_beside_the_warehouse_of_the_environment(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("MANYFACES_DATABASE", "data/warehouse.duckdb")
    write_warehouse(Path("data/warehouse.duckdb"))
    assert main(["publish"]) == 0
    assert (tmp_path / "data" / "serving.duckdb").is_file()
    assert "serving.duckdb: 3 tables, 5 rows, " in capsys.readouterr().out
    assert main(["publish-parquet"]) == 0
    assert (tmp_path / "data" / "serving_parquet" / "people.parquet").is_file()
    assert "serving_parquet: 3 files, 5 rows, " in capsys.readouterr().out

    assert main(["publish", "--to", "copy.duckdb"]) == 0
    assert (tmp_path / "copy.duckdb").is_file()


def test_the_installed_command_runs_without_loading_dbt_or_torch(tmp_path):
    write_warehouse(Path("warehouse.duckdb"))
    code = (
        "import sys\n"
        "from manyfaces.cli import main\n"
        "main(['publish'])\n"
        "print([name for name in ('dbt', 'torch', 'sklearn') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
