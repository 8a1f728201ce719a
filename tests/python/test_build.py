import io
import os
import re
import subprocess
import sys
from collections import Counter

import duckdb
import pytest

from manyfaces.build import _counts, _plain, build
from manyfaces.errors import UserError

FILES = {
    "dbt_project.yml": """
        name: tiny
        version: '1.0'
        profile: tiny
        model-paths: [models, python_models]
        on-run-start: ["{{ check_config() }}"]
        vars: {top_n: 1}
        models: {tiny: {+materialized: table, inputs: {+materialized: view}}}
        """,
    "profiles.yml": """
        tiny: {target: local, outputs: {local: {type: duckdb, path: warehouse.duckdb, threads: 2}}}
        """,
    "macros/check_config.sql": """
        {% macro check_config() %}
        {% if var('top_n') == 'many' %}
            {{ exceptions.raise_compiler_error("manyfaces: top_n is 'many': give a whole number") }}
        {% endif %}
        {% if var('top_n') == 2 %}{% do exceptions.warn("top_n is low") %}{% endif %}
        {% endmacro %}
        """,
    "seeds/weights.csv": "kind,weight\nview,1\n",
    "models/inputs/input_events.sql": "select 1 as user_id union all select null",
    "models/features/events.sql": "select * from {{ ref('input_events') }} cross join {{ ref('weights') }}",
    "models/features/_features__models.yml": """
        models:
          - name: events
            columns:
              - name: user_id
                data_tests: [unique, not_null: {config: {severity: warn}}]
        """,
    "python_models/features/vectors.py": """
        def model(dbt, session):
            return dbt.ref("events").to_arrow_table()
        """,
    "models/marts/broken.sql": "select no_such_column from {{ ref('events') }}",
    "models/marts/after.sql": "select * from {{ ref('broken') }}",
    "models/marts/people.sql": "select * from {{ ref('events') }}",
    "models/marts/_marts__models.yml": """
        models:
          - name: people
            columns: [{name: user_id, data_tests: [not_null]}]
        """,
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        indent = re.match(r"\n?( *)", text)[1]
        file.write_text(re.sub(f"^{indent}", "", text, flags=re.MULTILINE).lstrip("\n"))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DBT_")]:
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments):
    out = io.StringIO()
    return build(arguments, out), out.getvalue().splitlines()


def test_every_model_test_and_warning_is_reported_and_every_stage_is_closed_once(project, capfd):
    succeeded, lines = run()
    assert not succeeded
    report = "\n".join(re.sub(r" +\d+\.\d s$", "", line) for line in lines)

    assert re.search(r"^seeds +weights +1 row$", report, re.MULTILINE)
    assert re.search(r"^inputs +input_events +view$", report, re.MULTILINE)
    assert re.search(r"^features +events +2 rows$", report, re.MULTILINE)
    assert re.search(r"^features +vectors +2 rows$", report, re.MULTILINE)
    assert re.search(r"^marts +broken +FAILED$", report, re.MULTILINE)
    assert '    Binder Error: Referenced column "no_such_column" not found in FROM clause!' in report

    # Stages that do not depend on each other, such as seeds and inputs, end in any order.
    assert sorted(line for line in report.splitlines() if "=" in line) == [
        "features        = 2 models built; 4 rows; 1 test passed, 1 warned;",
        "inputs          = 1 model built;",
        "marts           = 1 model built, 1 failed, 1 skipped; 2 rows; 1 test failed;",
        "seeds           = 1 seed built; 1 row;",
    ]
    assert report.index("inputs          =") < report.index("features "), (
        "closed when it ends, not at the end"
    )
    assert "    not_null_people_user_id: 1 row breaks it (models/marts/_marts__models.yml)" in report
    warned = "warning: not_null_events_user_id: 1 row breaks it (models/features/_features__models.yml)"
    assert report.count(warned) == 1
    assert lines[-1].startswith(
        "build: 5 models built, 1 failed, 1 skipped; 1 test passed, 1 warned, 1 failed;"
    )
    # dbt itself stays quiet.
    assert capfd.readouterr().out == ""


def test_the_database_is_free_again_after_a_build(project):
    run("--select", "input_events", "weights")
    with duckdb.connect("warehouse.duckdb", read_only=True) as connection:
        assert connection.execute("select count(*) from main.weights").fetchall() == [(1,)]


def test_options_of_build_that_list_does_not_know_still_close_each_stage_when_it_ends(project):
    succeeded, lines = run("--fail-fast", "--select", "weights", "input_events", "--full-refresh")
    assert succeeded
    assert sum(" = " in line for line in lines) == 2
    assert not any("warning" in line for line in lines)


def test_a_warning_of_the_project_comes_once_at_the_end(project):
    succeeded, lines = run("--select", "weights", "--vars", "{top_n: 2}")
    assert succeeded
    assert [line for line in lines if "top_n" in line] == ["warning: top_n is low"]
    assert lines.index("warning: top_n is low") == len(lines) - 2


def test_a_setting_that_cannot_be_is_one_plain_sentence(project):
    with pytest.raises(UserError) as error:
        run("--vars", "{top_n: many}")
    assert str(error.value) == "top_n is 'many': give a whole number"


def test_an_unknown_option_and_a_folder_without_a_project_are_one_plain_sentence(project, monkeypatch):
    with pytest.raises(UserError, match=r"^No such option '--nonsense'\.$"):
        run("--nonsense")
    monkeypatch.chdir(project / "models")
    with pytest.raises(UserError, match=r"^there is no dbt_project.yml here"):
        run()


def test_a_database_in_use_is_named_with_the_process(project):
    code = (
        "import duckdb, sys\n"
        "connection = duckdb.connect('warehouse.duckdb')\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(UserError) as error:
            run("--select", "weights")
        holder.stdin.close()
    assert re.match(
        rf"warehouse\.duckdb is open in python\S* \(process {holder.pid}\): wait until it is done or "
        r"close it, and open serving\.duckdb instead",
        str(error.value),
    )


def test_messages_lose_the_wrapping_of_dbt():
    wrapped = (
        "Compilation Error in operation x-on-run-start-0 (./dbt_project.yml)\n"
        "  manyfaces: top_n is 0: give at least 1\n  \n"
        "  > in macro stop (macros/x.sql)\n  > called by operation"
    )
    assert _plain(wrapped) == "top_n is 0: give at least 1"
    assert _plain("Database Error\n  Runtime Error\n    manyfaces: it is open in dbt") == "it is open in dbt"
    assert _plain("\x1b[33m[WARNING]: careful\x1b[0m") == "careful"


def test_counts_in_words():
    assert _counts(Counter(), "test") == ""
    assert _counts(Counter(built=1), "model") == "1 model built"
    assert _counts(Counter(built=1200, failed=2), "model") == "1,200 models built, 2 failed"
    assert _counts(Counter(skipped=3), "model") == "3 models skipped"
