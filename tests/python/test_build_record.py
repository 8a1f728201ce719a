"""dbt writes down which runs made the warehouse, and so nobody publishes half a build.

The project under test is small, but its hooks, macros, plugin and build_info are those of the real one.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime

import duckdb
import pytest
import yaml
from conftest import PROJECT
from small_warehouse import READER, other_process, read

from manyfaces import __version__
from manyfaces.build import build
from manyfaces.cli import main
from manyfaces.errors import UserError
from manyfaces.revision import git_revision
from manyfaces.serving.file import publish

FILES = {
    "models/features/wall.sql": "select timestamp '2025-06-01' as as_of",
    "models/features/aside.sql": "select 1 as number",
    "models/features/people.sql": (
        "select range as user_key, {{ 'no_such_column' if var('broken') == 'people' else '1' }} as visits\n"
        "from range({{ var('rows') }})"
    ),
    "models/features/shown_people.sql": (
        "{{ config(materialized='view') }}\nselect * from {{ ref('people') }}"
    ),
    "models/marts/user_list.sql": "select user_key, visits from {{ ref('shown_people') }}",
    "models/marts/totals.sql": (
        "select count(*) as users, max(as_of) as as_of from {{ ref('people') }} cross join {{ ref('wall') }}"
    ),
    "models/marts/_marts__models.yml": """
models:
  - name: user_list
    columns: [{name: user_key, data_tests: [unique, not_null]}, {name: visits}]
""",
    "tests/assert_nothing_is_broken.sql": (
        "select * from {{ ref('totals') }} where '{{ var(\"broken\") }}' = 'totals'"
    ),
}


@pytest.fixture(scope="module")
def small_project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small_project")
    for name in ("macros", "tests/generic"):
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("models/marts/build_info.sql", "models/marts/_build_info__models.yml", "profiles.yml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    # Descriptions that other files share.
    shutil.copy(PROJECT / "models" / "shared_columns.md", folder / "models")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    # Settings of the real project are none of the small one's business.
    settings["on-run-start"].remove("{{ check_config() }}")
    settings["vars"] = {
        name: settings["vars"][name] for name in ("publish_at_end", "kept_builds", "backtest")
    }
    settings["vars"] |= {"rows": 3, "broken": ""}
    settings["models"]["manyfaces"] = {
        layer: settings["models"]["manyfaces"][layer] for layer in ("features", "marts")
    } | {"+persist_docs": {"relation": True, "columns": True}}
    del settings["seeds"]
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture
def project(small_project, monkeypatch):
    """The small project without a database, and with the environment of nobody."""
    for path in small_project.glob("*.duckdb*"):
        path.unlink()
    shutil.rmtree(small_project / "serving_builds", ignore_errors=True)
    for name in [name for name in os.environ if name.startswith(("DBT_", "MANYFACES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(small_project)
    return small_project


def run(command="build", *options, **variables):
    """Run dbt in this process, and return whether it succeeded with what a user would be told."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    try:
        result = dbtRunner().invoke([command, *options, "--vars", str(variables), "--log-level", "none"])
    finally:
        DuckDBConnectionManager.close_all_connections()
    return result.success


INFO = "select state, run_id, as_of, language, manyfaces_version, git_revision from marts.build_info"
RUNS = "select command, ended_at is not null, state, problem from builds.runs order by number"


def state():
    (found,) = read("warehouse.duckdb", INFO)
    return found[0]


def problem():
    return read("warehouse.duckdb", RUNS)[-1][-1]


def published():
    return publish("warehouse.duckdb", "serving.duckdb").build


def test_a_build_says_of_itself_when_and_of_what_it_was_made(project):
    assert run()
    found = read("warehouse.duckdb", INFO)
    runs = read("warehouse.duckdb", "select run_id, ended_at >= started_at from builds.runs")
    assert found == [("whole", runs[0][0], datetime(2025, 6, 1), "en", __version__, None)]
    assert runs[0][1]
    assert published().run_id == runs[0][0]
    assert read("warehouse.duckdb", RUNS) == [("build", True, "whole", None)]
    columns = "select data_type, comment from duckdb_columns() where table_name = 'build_info'"
    types, comments = zip(*read("serving.duckdb", columns), strict=True)
    assert set(types) == {"VARCHAR", "TIMESTAMP"}
    assert all(comments)


def test_the_keys_that_dbt_tests_are_known(project):
    assert run()
    keys = "select name, key_columns from builds.nodes where key_columns is not null order by name"
    assert read("warehouse.duckdb", keys) == [("build_info", ["run_id"]), ("user_list", ["user_key"])]


def test_the_commit_of_the_project_is_known_where_git_knows_it(tmp_path):
    assert git_revision(tmp_path) is None

    def git(*arguments):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "other").touch()
    git("add", "other")
    git("commit", "--quiet", "--message", "first")
    (tmp_path / "dbt_project.yml").write_text("name: tiny")
    assert git_revision(tmp_path) is None, "the repository does not know the project"

    git("add", "dbt_project.yml")
    git("commit", "--quiet", "--message", "second")
    assert git_revision(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "dbt_project.yml").write_text("name: changed")
    assert git_revision(tmp_path) == git("rev-parse", "HEAD") + "-dirty"


def test_a_partial_run_that_leaves_nothing_behind_is_published_as_an_update(project):
    assert run()
    first = published()
    assert run("build", "--select", "people+", rows=4)
    assert state() == "updated"
    second = published()
    assert second.run_id != first.run_id
    assert second.built_at > first.built_at
    assert read("serving.duckdb", "select users from marts.totals") == [(4,)]
    # Another whole run, and there is one build again.
    assert run()
    assert published().state == "whole"


def test_a_table_that_is_older_than_what_it_is_made_from_is_no_build(project):
    assert run()
    before = published()
    assert run("run", "--select", "people", rows=4)
    assert problem() == "totals is older than people, which it is made from (and 1 more)"
    with pytest.raises(UserError, match="totals is older than people, which it is made from"):
        published()
    assert read("serving.duckdb", "select run_id from marts.build_info") == [(before.run_id,)]
    # The list reads the people through a view, which is as new as they are.
    assert run("run", "--select", "totals")
    assert problem() == "user_list is older than people, which it is made from"
    assert run("run", "--select", "user_list")
    assert (problem(), published().state) == (None, "updated")


def test_marts_that_were_never_built_are_missing(project):
    assert run("build", "--select", "+totals", "build_info")
    assert problem() == "user_list has not been built yet"
    with pytest.raises(UserError, match="user_list has not been built yet"):
        published()


def test_a_run_of_the_first_tables_only_has_no_marts_to_publish(project):
    assert run("run", "--select", "aside")
    with pytest.raises(UserError, match=r"(build_info|totals|user_list) has not been built yet"):
        published()
    with pytest.raises(UserError, match="has no marts yet: run `manyfaces build` first"):
        publish("warehouse.duckdb", "serving.duckdb", allow_incomplete=True)


def test_a_model_that_could_not_be_made_stops_publishing_until_it_is(project):
    assert run()
    assert not run(broken="people")
    assert re.match(r"people could not be made \(and \d+ more\)$", problem())
    with pytest.raises(UserError, match="people could not be made"):
        published()
    assert run("build", "--select", "people+")
    assert published().state == "updated"


def test_a_retry_makes_up_for_what_failed(project):
    assert not run(broken="people")
    assert problem().startswith("people could not be made")
    assert run("retry")
    assert published().state == "updated"


def test_a_test_that_fails_stops_publishing_until_it_passes(project):
    assert run()
    assert not run("test", broken="totals")
    assert problem() == "the test assert_nothing_is_broken failed"
    with pytest.raises(UserError, match="the test assert_nothing_is_broken failed"):
        published()
    made = read("warehouse.duckdb", "select run_id from marts.build_info")
    # A run that does not repeat the test does not make it good.
    assert run("test", "--select", "user_list")
    assert problem() == "the test assert_nothing_is_broken failed"
    assert run("test", "--select", "assert_nothing_is_broken")
    assert published().run_id == made[0][0], "a test makes no build"


def test_a_run_without_rows_is_no_build(project):
    assert run()
    assert run("run", "--empty")
    assert re.match(r"\w+ was made with --empty or --sample \(and \d more\)$", problem())
    with pytest.raises(UserError, match="was made with --empty or --sample"):
        published()


def test_a_run_that_is_killed_is_no_build_and_a_whole_run_makes_up_for_it(project):
    assert run()
    before = published()
    code = (
        "import os, signal\n"
        "from manyfaces import dbt_plugin\n"
        "from dbt.task.run import ModelRunner\n"
        "after = ModelRunner.after_execute\n"
        "def killed(self, result):\n"
        "    if result.node.name == 'people':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    after(self, result)\n"
        "ModelRunner.after_execute = killed\n"
        "from dbt.cli.main import dbtRunner\n"
        "dbtRunner().invoke(['build', '--vars', '{rows: 4}'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read("warehouse.duckdb", RUNS)[-1] == ("build", False, None, None)
    assert state() == "incomplete"
    with pytest.raises(UserError, match=r"the last run \(dbt build, .* UTC\) did not end"):
        published()
    # One that ends well, but repeats only a part, does not make up for it.
    assert run("run", "--select", "aside")
    assert "was not" in problem()
    with pytest.raises(UserError, match="was not"):
        published()
    assert run()
    assert published().built_at > before.built_at


def test_a_record_of_an_earlier_version_gets_the_columns_that_it_lacks(project):
    assert run()
    with duckdb.connect("warehouse.duckdb") as connection:
        connection.execute("alter table builds.runs drop problem")
        connection.execute("alter table builds.nodes drop earlier_status")
    assert run()
    assert read("warehouse.duckdb", RUNS) == [("build", True, "whole", None)] * 2
    assert published().state == "whole"


def test_a_run_that_cannot_be_recorded_does_not_start_and_says_why(project):
    assert run()
    with duckdb.connect("warehouse.duckdb") as connection:
        connection.execute("drop table builds.runs; create view builds.runs as select 1 as number")
    wanted = "select visits from marts.user_list"
    before = read("warehouse.duckdb", wanted)
    with pytest.raises(UserError, match=r"Catalog Error: .* view"):
        build([], io.StringIO())
    assert read("warehouse.duckdb", wanted) == before


def test_a_model_that_is_gone_is_not_published_and_not_missed(project):
    extra = project / "models" / "marts" / "extra.sql"
    extra.write_text("select 1 as number")
    assert run()
    assert "extra" in publish("warehouse.duckdb", "serving.duckdb").rows
    extra.unlink()
    assert run("run", "--select", "aside")
    found = publish("warehouse.duckdb", "serving.duckdb")
    assert "extra" not in found.rows
    assert found.left_out == ["extra"]


def test_a_run_publishes_at_its_end_if_it_is_told_to(project):
    assert run(publish_at_end=True)
    first = read("serving.duckdb", "select run_id, state from marts.build_info")
    assert first == read("warehouse.duckdb", "select run_id, state from marts.build_info")
    assert first[0][1] == "whole"
    assert (project / "serving.duckdb.sha256").is_file()

    # While a reader has the published file open.
    with other_process(READER, project / "serving.duckdb") as reader:

        def ask():
            reader.stdin.write("select users from marts.totals\n")
            reader.stdin.flush()
            return reader.stdout.readline()

        assert ask() == "[(3,)]\n"
        assert run(publish_at_end=True, kept_builds=1, rows=5)
        assert ask() == "[(3,)]\n"
        reader.stdin.close()
    assert read("serving.duckdb", "select users from marts.totals") == [(5,)]
    assert len(list(project.glob("serving_builds/serving_*.duckdb"))) == 1


def test_a_run_that_fails_or_makes_no_mart_publishes_nothing(project):
    assert run("run", "--select", "aside", "people", publish_at_end=True)
    assert not run(publish_at_end=True, broken="totals")
    assert not run(publish_at_end=True, broken="people")
    assert run()
    assert run("test", publish_at_end=True)
    assert run("run", "--select", "aside", publish_at_end=True)
    assert not (project / "serving.duckdb").exists()


def test_what_was_not_published_at_the_end_is_warned_of(project, capfd):
    options = ["--select", "+totals", "build_info", "--vars", "{publish_at_end: true}"]
    assert main(["build", *options]) == 0
    said = "not published, because this is no whole build: user_list has not been built yet."
    assert f"warning: {said}" in capfd.readouterr().out
    assert not (project / "serving.duckdb").exists()


def test_a_build_of_the_backtest_is_never_published(project):
    assert run(publish_at_end=True, backtest=True)
    assert not (project / "serving.duckdb").exists()


def test_a_publish_that_cannot_write_makes_the_run_fail_in_a_sentence(project, capsys):
    (project / "serving.duckdb").mkdir()
    try:
        assert main(["build", "--vars", "{publish_at_end: true}"]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == "manyfaces: not published: serving.duckdb could not be written: Is a directory"
    finally:
        (project / "serving.duckdb").rmdir()
    # The build itself is whole.
    assert published().state == "whole"


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="only Linux tells who holds a file")
def test_plain_dbt_and_our_own_command_name_who_holds_the_warehouse(project, capsys):
    assert run()
    with other_process(READER, project / "warehouse.duckdb") as holder:
        holder.stdin.write("select 1\n")
        holder.stdin.flush()
        holder.stdout.readline()
        expected = (
            rf"warehouse\.duckdb is open in python\S* \(process {holder.pid}\): wait until it is done or "
            r"close it, and open serving\.duckdb instead to look at tables "
            r"\(it can stay open while a build runs\)"
        )
        with pytest.raises(UserError, match=f"^{expected}$"):
            build(["--select", "aside"], io.StringIO())
        dbt = [os.path.join(os.path.dirname(sys.executable), "dbt"), "--no-use-colors", "build"]
        done = subprocess.run(dbt, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert re.search(f"manyfaces: {expected}", done.stdout)
        assert "Could not set lock" not in done.stdout
        holder.stdin.close()
    assert duckdb.connect("warehouse.duckdb").execute("select 1").fetchall() == [(1,)]
