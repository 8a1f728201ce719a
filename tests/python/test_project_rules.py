"""The rules of the project, held against the parsed manifest."""

import re
from collections import Counter

import pytest
import yaml
from conftest import PROJECT

LAYERS = ["inputs", "staging", "features", "embeddings", "segments", "recommendations", "evaluation", "marts"]
EVENT_RELATIONS = {"stg_events", "stg_events_checked", "rejected_events", "input_events"}
# The wall itself and the one view that applies it, the one that shows the backtest what came after, and the
# balance that has to count what staging rejected.
EVENT_READERS = {"wall", "events", "events_after_wall", "event_balance"}


@pytest.fixture(scope="module")
def models(manifest):
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["package_name"] == "manyfaces"
    }


@pytest.fixture(scope="module")
def tests_by_model(manifest):
    found = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node.get("attached_node"):
            found.setdefault(node["attached_node"].split(".")[-1], []).append(node)
    return found


def layer(model):
    return model["schema"]


def parents(model):
    return [name.split(".")[-1] for name in model["depends_on"]["nodes"] if name.startswith("model.")]


def test_there_are_models_in_every_layer(models):
    assert {layer(model) for model in models.values()} == set(LAYERS)


def test_no_model_escapes_the_rules_by_being_off(manifest):
    off = [node["name"] for nodes in manifest["disabled"].values() for node in nodes]
    # Of the inputs only one can be on.
    assert [name for name in off if not name.startswith("files__")] == []


def test_a_layer_reads_only_its_left_neighbours(models):
    wrong = [
        f"{layer(model)}.{name} reads {layer(models[parent])}.{parent}"
        for name, model in models.items()
        for parent in parents(model)
        if LAYERS.index(layer(models[parent])) > LAYERS.index(layer(model))
    ]
    assert wrong == []


def test_marts_never_read_inputs_or_staging(models):
    wrong = [
        f"{name} reads {parent}"
        for name, model in models.items()
        for parent in parents(model)
        if layer(model) == "marts" and layer(models[parent]) in ("inputs", "staging")
    ]
    assert wrong == []


def test_only_the_wall_lets_events_pass(models):
    wrong = [
        f"{name} reads {parent}"
        for name, model in models.items()
        for parent in parents(model)
        if parent in EVENT_RELATIONS
        and layer(model) not in ("inputs", "staging")
        and name not in EVENT_READERS
    ]
    assert wrong == []


def test_only_the_backtest_sees_what_came_after_the_wall(models):
    seen = {"events_after_wall"}
    for _ in models:
        seen |= {name for name, model in models.items() if seen & set(parents(model))}
    assert seen > {"events_after_wall"}
    wrong = [name for name in seen if "/evaluation/backtest/" not in f"/{models[name]['original_file_path']}"]
    assert wrong == []


def test_every_table_and_column_is_described(models):
    missing = [name for name, model in models.items() if not model["description"].strip()]
    missing += [
        f"{name}.{column['name']}"
        for name, model in models.items()
        for column in model["columns"].values()
        if not column["description"].strip()
    ]
    missing += [f"{name} has no columns" for name, model in models.items() if not model["columns"]]
    assert missing == []


def test_every_table_behind_staging_has_its_grain_tested_as_a_key(models, tests_by_model):
    keyless = [
        name
        for name, model in models.items()
        if model["config"]["materialized"] != "view"
        and layer(model) not in ("inputs", "staging")
        and not any(
            test["test_metadata"]["name"] in ("unique", "unique_combination")
            for test in tests_by_model.get(name, [])
            if test.get("test_metadata")
        )
    ]
    # Their grain is a cell of a matrix or a row of a candidate list whose key is tested where it is made.
    assert sorted(set(keyless) - {"user_item_matrix", "user_text_weights", "user_category_weights"}) == []


def test_marts_have_enforced_contracts_without_odd_types(models):
    marts = {name: model for name, model in models.items() if layer(model) == "marts"}
    assert marts
    assert [name for name, model in marts.items() if not model["config"]["contract"]["enforced"]] == []
    allowed = {"string", "integer", "bigint", "double", "boolean", "timestamp", "date", "decimal(18,2)"}
    odd = [
        f"{name}.{column['name']}: {column['data_type']}"
        for name, model in marts.items()
        for column in model["columns"].values()
        if column["data_type"] not in allowed
    ]
    assert odd == []


def test_personal_columns_never_reach_marts(models):
    personal = {
        column["name"]
        for model in models.values()
        for column in model["columns"].values()
        if column.get("config", {}).get("meta", {}).get("pii") or column.get("meta", {}).get("pii")
    }
    assert {"user_id", "event_text"} <= personal
    leaked = [
        f"{name}.{column}"
        for name, model in models.items()
        for column in model["columns"]
        if layer(model) == "marts" and column in personal
    ]
    assert leaked == []


def test_every_setting_has_a_rule_and_every_rule_a_setting():
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    text = (PROJECT / "macros" / "check_config.sql").read_text()
    body = text[text.index("{% macro var_rules()") : text.index("{% macro check_var_names()")]
    assert set(re.findall(r"^\s+'(\w+)': \{", body, flags=re.MULTILINE)) == set(settings)


def test_settings_have_no_default_outside_the_project_file():
    offenders = [
        f"{path.relative_to(PROJECT)}: {call}"
        for folder in ("models", "macros", "python_models", "tests")
        for path in (PROJECT / folder).rglob("*")
        if path.suffix in (".sql", ".yml")
        for call in re.findall(r"\bvar\(\s*['\"]\w+['\"]\s*,[^)]*\)", path.read_text())
    ]
    assert offenders == []


def test_engine_differences_stay_in_compat():
    offenders = [
        str(path.relative_to(PROJECT))
        for folder in ("models", "macros")
        for path in (PROJECT / folder).rglob("*.sql")
        if "target.type" in path.read_text()
    ]
    assert offenders == []


def test_the_readme_lists_every_setting_with_its_default():
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", (PROJECT / "README.md").read_text(), flags=re.MULTILINE)
    listed = {name: default for name, default in rows if name in settings}
    assert set(listed) == set(settings)
    shown = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in settings.items()
        if isinstance(value, int | float | str)
    }
    wrong = {
        name: default for name, default in listed.items() if name in shown and default != f"`{shown[name]}`"
    }
    assert wrong == {}


def test_the_page_about_metrics_defines_each_as_the_project_does(manifest):
    rows = re.findall(
        r"^\| `(\w+)` \| (.*) \|$", (PROJECT / "docs" / "metrics.md").read_text(), flags=re.MULTILINE
    )
    metrics = {node["name"]: " ".join(node["description"].split()) for node in manifest["metrics"].values()}
    assert metrics
    assert dict(rows) == metrics


def test_a_text_that_many_columns_share_is_written_once():
    texts = Counter(
        (column["name"], column["description"])
        for folder in ("models", "python_models")
        for path in (PROJECT / folder).rglob("*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
        for column in model["columns"]
        if "{{" not in column["description"]
    )
    # A word or two are shorter than the name of a doc block.
    repeated = [key for key, count in texts.items() if count > 3 and len(key[1]) >= 12]
    assert repeated == []
