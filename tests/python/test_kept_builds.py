"""Earlier builds stay as long as somebody asked for, and no longer."""

import os

import duckdb
import pytest
from small_warehouse import read, write_warehouse

from manyfaces.cli import main
from manyfaces.serving.file import publish
from manyfaces.serving.kept import kept_folder

RUN = "select run_id from marts.build_info"


@pytest.fixture
def publish_build(tmp_path):
    """Publish the build of a number, and return the runs of those that are kept, oldest first."""

    def run(number, kept_builds):
        warehouse = write_warehouse(tmp_path / "warehouse.duckdb", number=number)
        serving = publish(warehouse, tmp_path / "serving.duckdb", kept_builds=kept_builds).path
        assert read(serving, RUN) == [(f"run-{number}",)]
        folder = kept_folder(serving)
        if not folder.exists():
            return []
        return [read(path, RUN)[0][0] for path in sorted(folder.glob("serving_2*.duckdb"))]

    return run


def test_the_newest_builds_before_the_published_one_are_kept(publish_build, tmp_path):
    kept = [publish_build(number, 2) for number in (1, 2, 3, 4)]
    assert kept == [[], ["run-1"], ["run-1", "run-2"], ["run-2", "run-3"]]
    assert sorted(path.name for path in (tmp_path / "serving_builds").iterdir()) == [
        "serving_2026-01-01_120200_250000.duckdb",
        "serving_2026-01-01_120300_250000.duckdb",
    ]


def test_the_same_build_is_not_kept_beside_itself(publish_build):
    publish_build(1, 2)
    assert publish_build(1, 2) == []
    assert publish_build(2, 2) == publish_build(2, 2) == ["run-1"]


def test_fewer_are_kept_as_soon_as_fewer_are_wanted_and_without_any_the_folder_goes(publish_build, tmp_path):
    for number in (1, 2, 3, 4):
        publish_build(number, 3)
    assert publish_build(5, 1) == ["run-4"]
    assert publish_build(6, 0) == []
    assert not (tmp_path / "serving_builds").exists()


def test_files_of_other_people_stay(publish_build, tmp_path):
    publish_build(1, 1)
    publish_build(2, 1)
    notes = tmp_path / "serving_builds" / "serving_notes.duckdb"
    notes.touch()
    publish_build(3, 0)
    assert [path.name for path in (tmp_path / "serving_builds").iterdir()] == [notes.name]


def test_a_file_system_without_hard_links_gets_a_copy(publish_build, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    publish_build(1, 1)
    assert publish_build(2, 1) == ["run-1"]


def test_a_file_that_does_not_say_which_build_it_is_is_replaced_and_not_kept(publish_build, tmp_path):
    duckdb.connect(tmp_path / "serving.duckdb").close()
    assert publish_build(1, 1) == []


def test_the_command_takes_the_number_from_the_option_or_else_from_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MANYFACES_DATABASE", raising=False)

    def kept_after(number, *options):
        write_warehouse(tmp_path / "warehouse.duckdb", number=number)
        assert main(["publish", *options]) == 0
        return len(list(tmp_path.glob("serving_builds/*")))

    assert [kept_after(1), kept_after(2), kept_after(3, "--keep", "1")] == [0, 0, 1]
    (tmp_path / "dbt_project.yml").write_text("name: tiny\nvars: {kept_builds: 2}\n")
    assert [kept_after(4), kept_after(5), kept_after(6, "--keep", "0")] == [2, 2, 0]
