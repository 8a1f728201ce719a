"""The seed of phrases: complete, used, and with the same placeholders in each language."""

import re

import pytest
import yaml
from conftest import PROJECT
from languages import CHINESE, ENGLISH, SEED

LANGUAGES = [column for column in SEED.columns if column != "phrase"]
PLACEHOLDER = re.compile(r"\{(\w*)\}")


def test_the_setting_offers_the_languages_of_the_seed():
    rules = (PROJECT / "macros" / "check_config.sql").read_text()
    (offered,) = re.findall(r"'language': \{'type': 'text', 'one_of': \[(.*?)\]\}", rules)
    assert [language.strip("' ") for language in offered.split(",")] == LANGUAGES == ["en", "zh"]
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    assert settings["language"] == "en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_is_there_without_blanks_around_it(language):
    texts = SEED[language].to_list()
    assert all(text and text == text.strip() for text in texts)


def test_every_language_fills_the_same_places():
    assert [
        row["phrase"]
        for row in SEED.iter_rows(named=True)
        if len({tuple(sorted(PLACEHOLDER.findall(row[language]))) for language in LANGUAGES}) > 1
    ] == []


def test_chinese_is_chinese():
    latin = [
        row["phrase"]
        for row in SEED.iter_rows(named=True)
        if re.search(r"[A-Za-z]", PLACEHOLDER.sub("", row["zh"]).replace("UTC", ""))
    ]
    assert latin == []


def used() -> set[str]:
    """Phrases that SQL and Python ask for, with those whose name is put together."""
    sources = [
        path.read_text()
        for folder in ("macros", "models", "manyfaces")
        for path in (PROJECT / folder).rglob("*")
        if path.suffix in (".sql", ".py")
    ]
    found = set()
    for source in sources:
        found |= set(re.findall(r"\bphrase\('(\w+)'", source))
        found |= set(re.findall(r"phrases\.text\(\s*\"(\w+)\"", source))
        for noun in re.findall(r"counted_text\([^\n]*?, '(\w+)'\)", source):
            found |= {f"one_{noun}", f"many_{noun}s"}
    return found


def test_every_phrase_is_used_and_what_is_used_is_there():
    there = set(SEED["phrase"])
    # Those of features and of names in seeds have names that are put together.
    made_up = {name for name in there if name.startswith(("feature_", "seed_name_"))}
    assert {name for name in used() if not name.endswith("_")} - there == set()
    assert there - made_up - used() == set()


def test_every_feature_has_a_name(manifest):
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    names = [
        name
        for name in models["user_features"]["columns"]
        if f"{name}_normalised" in models["user_features"]["columns"]
    ]
    assert names
    known = set(SEED["phrase"])
    weekdays = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    for name in names:
        plain = re.sub(r"_\d+_days$", "_window", name)
        plain = "hours" if plain.startswith("hour_") else plain
        plain = plain.removesuffix("_share") if plain.startswith(weekdays) else plain
        assert f"feature_{plain}" in known, name


def test_names_of_the_seeds_are_translated():
    seeds = PROJECT / "seeds"
    names = {
        line.split(",")[3]
        for file in ("rfm_cells", "segment_rules")
        for line in (seeds / f"{file}.csv").read_text().splitlines()[1:]
    }
    translated = set(ENGLISH.part("seed_name_").values())
    assert names == translated


def test_python_fills_placeholders():
    assert ENGLISH.text("name_joined", first="Tea", second="Rice") == "Tea & Rice"
    assert CHINESE.text("name_joined", first="茶", second="米") == "茶与米"
    assert ENGLISH.part("one_").keys() == {"one_user", "one_event", "one_time"}
    with pytest.raises(KeyError):
        ENGLISH.text("no_such_phrase")
