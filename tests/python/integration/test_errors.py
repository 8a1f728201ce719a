"""What cannot work stops the run with one sentence, before anything is written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from integration.harness import PROJECT, Workspace
from manyfaces.cli import main

GOOD_EVENTS = "user_id,item_id,event_at\nada,lamp,2025-06-01 10:00:00\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("errors"))


@pytest.fixture
def workspace(shared, monkeypatch):
    """One folder for all tests, so that dbt reads the project anew only where the vars differ."""
    shutil.rmtree(shared.files, ignore_errors=True)
    shared.files.mkdir()
    shared.database.unlink(missing_ok=True)
    for name in [name for name in os.environ if name.startswith(("DBT_", "MANYFACES_"))]:
        monkeypatch.delenv(name)
    for name, value in shared.environment().items():
        if name.startswith("MANYFACES_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(PROJECT)
    return shared


def sentence(workspace, capsys, **changes):
    """Return what a build says that could not start, once it is certain that it wrote nothing."""
    arguments = [
        "build",
        "--select",
        "event_types",
        *workspace.options(),
        "--vars",
        workspace.vars(**changes),
    ]
    code = main(arguments)
    said = capsys.readouterr()
    assert code == 2, said
    # Scenarios of other tests run in threads of this process; their progress is not part of what is said.
    lines = [line for line in said.err.splitlines() if not line.startswith("  manyfaces | simulate")]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("manyfaces: ")
    assert written(workspace.database) == []
    assert not workspace.store.exists()
    return lines[0].removeprefix("manyfaces: ")


def written(database: Path) -> list[tuple]:
    if not database.exists():
        return []
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall() + (
            connection.execute(
                "select schema_name, view_name from duckdb_views() where not internal"
            ).fetchall()
        )


def write(workspace, name: str, text: str) -> Path:
    path = workspace.files / name
    path.write_text(text)
    return path


def test_a_good_folder_is_built_by_the_same_command(workspace, capsys):
    # Without this the other tests could pass because nothing is ever written.
    write(workspace, "events.csv", GOOD_EVENTS)
    code = main(["build", "--select", "event_types", *workspace.options(), "--vars", workspace.vars()])
    assert code == 0, capsys.readouterr()
    assert written(workspace.database) == [("builds", "nodes"), ("builds", "runs"), ("seeds", "event_types")]


def test_lists_of_peers_have_to_be_there_with_their_columns(workspace, capsys):
    write(workspace, "events.csv", GOOD_EVENTS)
    missing = workspace.files / "lists.parquet"
    assert "there is no such file" in sentence(workspace, capsys, peer_lists=str(missing))
    duckdb.sql(f"copy (select 'als' as strategy, 'ada' as user_key) to '{missing}'")
    assert "has no column 'list'" in sentence(workspace, capsys, peer_lists=str(missing))


def test_the_command_of_a_shell_says_the_sentence_and_nothing_else_on_standard_error(workspace):
    done = subprocess.run(
        [
            *[str(Path(sys.executable).with_name("manyfaces")), "build", *workspace.options()],
            *["--vars", workspace.vars(files_dir="no/such/folder")],
        ],
        cwd=PROJECT,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "manyfaces: files_dir is 'no/such/folder', but there is no such folder, or it is empty; "
        "put events.parquet or events.csv there, or set files_dir.\n"
    )
    assert written(workspace.database) == []
    assert not workspace.store.exists()


def test_an_empty_folder(workspace, capsys):
    assert sentence(workspace, capsys) == (
        f"files_dir is '{workspace.files}', but there is no such folder, or it is empty; "
        "put events.parquet or events.csv there, or set files_dir."
    )


def test_a_folder_without_events(workspace, capsys):
    write(workspace, "items.csv", "item_id,title\nlamp,A lamp\n")
    assert sentence(workspace, capsys) == (
        f"'{workspace.files}' has no events; put events.parquet, events.csv or a folder events/ "
        "with such files there."
    )


def test_a_file_without_a_required_column(workspace, capsys):
    path = write(workspace, "events.csv", "user_id,product,event_at\nada,lamp,2025-06-01\n")
    assert sentence(workspace, capsys) == (
        f"{path} has no column 'item_id', which is required; its columns are user_id, product, event_at. "
        "Rename one of them."
    )


def test_an_optional_file_without_a_required_column(workspace, capsys):
    write(workspace, "events.csv", GOOD_EVENTS)
    path = write(workspace, "erasures.csv", "customer\nada\n")
    assert sentence(workspace, capsys) == (
        f"{path} has no column 'user_id', which is required; its columns are customer. Rename one of them."
    )


def test_a_column_of_a_wrong_type_in_parquet(workspace, capsys):
    path = workspace.files / "events.parquet"
    duckdb.sql(f"copy (select 'ada' as user_id, 'lamp' as item_id, true as event_at) to '{path}'")
    assert sentence(workspace, capsys) == (
        f"column 'event_at' of {path} has the type BOOLEAN, but must be a timestamp; convert it."
    )


def test_a_text_where_a_number_must_be_in_csv(workspace, capsys):
    path = write(
        workspace,
        "events.csv",
        "user_id,item_id,event_at,quantity\n"
        "ada,lamp,2025-06-01,1\nada,desk,2025-06-01,a dozen\nada,bed,2025-06-01,\n",
    )
    assert sentence(workspace, capsys) == (
        f"column 'quantity' of {path} must be a double, but 1 of 2 values are not, for example 'a dozen'; "
        "correct them."
    )


def test_times_that_nobody_can_read(workspace, capsys):
    path = write(workspace, "events.csv", "user_id,item_id,event_at\nada,lamp,yesterday\nada,desk,today\n")
    assert sentence(workspace, capsys) == (
        f"column 'event_at' of {path} must be a timestamp, but 2 of 2 values are not, for example 'today'; "
        "correct them."
    )


def test_own_data_without_a_key(workspace, capsys, monkeypatch):
    write(workspace, "events.csv", GOOD_EVENTS)
    monkeypatch.delenv("MANYFACES_PSEUDONYM_KEY")
    assert sentence(workspace, capsys) == (
        "your own data needs a key for the pseudonyms of its users; set the environment variable "
        "MANYFACES_PSEUDONYM_KEY to a long random text and keep it, since another key gives other pseudonyms."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"top_m": 5},
            "there is no var 'top_m'; did you mean 'top_n'? README.md lists all of them.",
        ),
        (
            {"text_adapter": "contrast"},
            "var text_adapter is 'contrast' but must be one of none, contrastive.",
        ),
        (
            {"as_of": "last week"},
            "var as_of is 'last week', which is no date; write it as '2025-06-30' or '2025-06-30 12:00:00'.",
        ),
        (
            {"max_events_per_minute": 300, "max_events_per_day": 200},
            "max_events_per_minute (300) is above max_events_per_day (200), so no minute could ever be "
            "a burst; lower the first or raise the second.",
        ),
        (
            {"sources": ["popular", "rizing"]},
            "sources has no source 'rizing'; the sources are buy_again, collaborative, content, segment, "
            "popular, context, category, distinctive, rising, item_neighbours, social, attribute, new_item, "
            "als, graph_filter, variational, next_item, user_neighbour.",
        ),
        (
            {"sources": ["buy_again"]},
            "sources must hold popular: it is all that users without consent or history are shown; add it.",
        ),
        (
            {"candidates_per_source": 10, "top_n": 20},
            "candidates_per_source (10) is below top_n (20), so lists could not be filled; "
            "raise the first or lower the second.",
        ),
        (
            {"rerank_depth": 10, "top_n": 20},
            "rerank_depth (10) is below top_n (20), so lists could not be filled; "
            "raise the first or lower the second.",
        ),
        (
            {"exploration_slots": 21, "top_n": 20},
            "exploration_slots (21) is above top_n (20); a list has no such places, so lower the first.",
        ),
        ({"diversity": 1}, "var diversity is 1 but must be below 1."),
        ({"tail_share": 1.5}, "var tail_share is 1.5 but must be at most 1."),
        (
            {
                "fusion_weights": {
                    "categories": 0,
                    "activity": 0,
                    "text": 0.0,
                    "vae": 0,
                    "factors": 0,
                    "attributes": 0,
                }
            },
            "all fusion_weights are 0, so there would be nothing to cluster; "
            "give at least one block a weight.",
        ),
        (
            {"default_segmentation": "flavour"},
            "default_segmentation is 'flavour', which no segmentation is called; "
            "use one of taste, density, rfm, demographic, tiers, interest.",
        ),
        ({"top_n": 2.5}, "var top_n must be a whole number, not '2.5'."),
    ],
    ids=[
        "unknown",
        "none-of-these",
        "no-date",
        "limits",
        "no-source",
        "not-popular",
        "candidates",
        "depth",
        "slots",
        "too-diverse",
        "all-tail-and-more",
        "weights",
        "segmentation",
        "no-whole-number",
    ],
)
def test_a_var_that_cannot_be(workspace, capsys, changes, expected):
    write(workspace, "events.csv", GOOD_EVENTS)
    assert sentence(workspace, capsys, **changes) == expected


RFM = {"name": "rfm", "algorithm": "rfm"}


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        (
            {"name": "loyal", "algorithm": "rfm", "population": "region <> 'o''fallon' and events >"},
            "segmentation loyal: its population 'region <> 'o''fallon' and events >' cannot be used: "
            'syntax error at or near ")".',
        ),
        (
            {"name": "steps", "algorithm": "rules"},
            "segmentation steps is made by rules, but seeds/segment_rules.csv has none for it; "
            "add a line with its name.",
        ),
    ],
    ids=["population", "rules"],
)
def test_a_segmentation_that_cannot_be(workspace, capsys, segmentation, expected):
    write(workspace, "events.csv", GOOD_EVENTS)
    said = sentence(workspace, capsys, segmentations=[RFM, segmentation], default_segmentation="rfm")
    assert said == expected


def test_segmentations_that_are_no_blocks(workspace, capsys):
    # Models are read before the check speaks, and must not stumble over them.
    write(workspace, "events.csv", GOOD_EVENTS)
    assert sentence(workspace, capsys, segmentations=[RFM, 5]) == (
        "a segmentation is declared by a block of settings, not by 5."
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "sometimes",
            "var retrain_when must be always, never or bounds such as {max_age_days: 182, psi: 0.25}, "
            "not 'sometimes'.",
        ),
        (
            {"drift": 0.2},
            "retrain_when has no bound 'drift'; "
            "the bounds are max_age_days, psi, new_user_share, new_item_share.",
        ),
        ({"psi": -1}, "var retrain_when.psi is -1 but must be at least 0."),
    ],
    ids=["no-policy", "unknown", "negative"],
)
def test_a_policy_of_training_that_cannot_be(workspace, capsys, policy, expected):
    write(workspace, "events.csv", GOOD_EVENTS)
    assert sentence(workspace, capsys, retrain_when=policy) == expected


def test_an_input_that_is_not_there(workspace, capsys):
    assert sentence(workspace, capsys, input="my_shop") == (
        "there is no input 'my_shop': set var input to complete_journey, to files, or to the name of your "
        "own folder in models/inputs with one model for each table of the contract"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"llm_enabled": "yes"}, "var llm_enabled must be true or false, not 'yes'."),
        (
            {"llm_base_url": "http://models.example.com/v1"},
            "llm_base_url is 'http://models.example.com/v1', which would send texts unencrypted; use https, "
            "or a server on this machine.",
        ),
        (
            {"llm_base_url": "http://localhost.example.com/v1"},
            "llm_base_url is 'http://localhost.example.com/v1', which would send texts unencrypted; "
            "use https, or a server on this machine.",
        ),
        (
            {"llm_base_url": "https://ann:secret@models.example.com/v1"},
            "llm_base_url must be an address such as http://127.0.0.1:8080/v1, without user name or "
            "password.",
        ),
        (
            {"llm_key_variable": "gsk_0123456789abcdef"},
            "llm_key_variable must be the name of an environment variable in capital letters, such as "
            "MANYFACES_LLM_KEY, never the key itself.",
        ),
        ({"llm_timeout_seconds": 0}, "var llm_timeout_seconds is 0 but must be above 0."),
    ],
    ids=["no-boolean", "unencrypted", "almost-local", "password", "key", "timeout"],
)
def test_a_language_model_that_cannot_be_asked(workspace, capsys, changes, expected):
    write(workspace, "events.csv", GOOD_EVENTS)
    assert sentence(workspace, capsys, **changes) == expected


def test_a_language_model_on_this_machine_by_another_name(workspace, capsys):
    write(workspace, "events.csv", GOOD_EVENTS)
    given = workspace.vars(llm_base_url="http://[::1]:8080/v1")
    code = main(["build", "--select", "event_types", *workspace.options(), "--vars", given])
    assert code == 0, capsys.readouterr()
