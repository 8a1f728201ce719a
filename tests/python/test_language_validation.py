import re
from pathlib import Path

import polars as pl
import pytest

from manyfaces.language.prompts import Evidence
from manyfaces.language.validate import (
    Rules,
    banned_words,
    clean,
    description_fault,
    interest_fault,
    kept_name_fault,
    name_fault,
)
from manyfaces.segments.naming import Vocabulary

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
KEY = "0f3a9c2be8d7415566778899aabbccdd"


def rules(*labels, segment_ids=("taste-01",)):
    words = pl.read_csv(SEEDS / "name_words.csv", schema_overrides={"word": pl.String})
    in_names, everywhere = banned_words(pl.read_csv(SEEDS / "banned_name_words.csv"))
    evidence = Evidence({}, labels, labels[:3])
    return Rules(evidence, Vocabulary.from_frame(words), in_names, everywhere, frozenset(segment_ids))


GROCERY = rules("Tropical Fruit", "Frozen Pizza", "Yogurt", "Milk 2 %")


@pytest.mark.parametrize(
    "name",
    [
        "Tropical Fruit Lovers",
        "Yogurts & More",
        "Pizza",
        "Keen on “Pizza” \u2013 daily",
        "Milk 2 % Drinkers",
    ],
)
def test_a_name_about_the_evidence_is_good(name):
    assert name_fault(name, [], GROCERY) is None


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("咖啡与茶", "咖啡爱好者"),
        ("Кофе и чай", "Любители кофе"),
        ("قهوة عربية", "محبو قهوة"),
        ("Café", "Café-Freunde"),
    ],
)
def test_every_script_is_plain(label, name):
    assert name_fault(name, [], rules(label)) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (None, "is no text"),
        (["Pizza"], "is no text"),
        ("Pi", "has 2 characters"),
        ("Pizza " * 11, "has 66 characters"),
        ("<b>Pizza</b>", r"U\+003C"),
        ("**Pizza**", r"U\+002A"),
        ("Pizza\nFans", r"U\+000A"),
        ("Pizza\u202eFans", r"U\+202E"),
        ("Pizza \U0001f355", r"U\+1F355"),
        ("pizza@example.com", r"U\+0040"),
        ("Pizza at example.com", "web address"),
        ("See https//pizza", "web address"),
        ("Pizza (555) 123-4567", "telephone"),
        (f"Pizza {KEY}", "holds an id"),
        ("Pizza of Taste-01", "holds an id"),
        ("Pizza for 30", "holds a number"),
        ("Pizza Segment", "'segment'"),
        ("Pizza Clusters", "'cluster'"),
        ("Poor Pizza Eaters", "'poor'"),
        ("Pizza on Low Incomes", "'low income'"),
        ("Happy Shoppers", "shares no word"),
        ("Fresh Frozen Foods", "shares no word"),
        ("12 %", "holds no letter"),
    ],
)
def test_a_name_is_refused_with_the_reason(name, fault):
    found = name_fault(name, [], GROCERY)
    assert found is not None
    assert re.search(fault, found), found


@pytest.mark.parametrize("name", ["Pizza Fans", "pizza fan", "PIZZA-FANS"])
def test_a_name_is_unique_to_a_reader(name):
    assert name_fault(name, ["Pizza Fans"], GROCERY) == "is the name of another segment"
    assert kept_name_fault(name, ["Pizza Fans"], GROCERY) == "is the name of another segment"


def test_a_name_that_stays_may_outlast_its_evidence_but_not_a_new_ban():
    assert kept_name_fault("Garden 24 Friends", [], GROCERY) is None
    assert "'pregnant'" in kept_name_fault("Pregnant Gardeners", [], GROCERY)


@pytest.mark.parametrize(
    ("description", "fault"),
    [
        ("These users often take yogurt and tropical fruit; their segment is lively.", None),
        ("Yogurt.", "has 7 characters"),
        ("These users often take yogurt. They like it.", "is more than one sentence"),
        ("These users take yogurt 3.6 times as often as others.", "holds a number"),
        ("These users do as most others do every day.", "shares no word"),
        ("Yogurt that suits the sick and other users.", "'sick'"),
        ("Yogurt, see [the list](http://x.example).", r"U\+005B"),
    ],
)
def test_a_description_is_one_sentence_about_the_evidence(description, fault):
    found = description_fault(description, GROCERY)
    assert (found is None) if fault is None else re.search(fault, str(found))


def test_an_interest_was_asked_for_and_is_plain():
    assert interest_fault("Yogurt", "Something light for breakfast", GROCERY) is None
    assert "not asked for" in interest_fault("Cheese", "Something light", GROCERY)
    assert "not asked for" in interest_fault(["Yogurt"], "Something light", GROCERY)
    assert "U+003C" in interest_fault("Yogurt", "<i>light</i>", GROCERY)
    assert "number" in interest_fault("Yogurt", "Light at 99", GROCERY)


def test_texts_are_composed_and_stripped():
    assert clean(" Cafe\u0301 ") == "Café"
    assert clean(7) == 7


def test_words_are_banned_as_wholes_but_of_chinese_as_parts():
    found = rules("宗教书籍", "Sicklepod Tea")
    banned = Rules(found.evidence, found.vocabulary, frozenset({"宗教", "sick"}), frozenset())
    assert "'宗教'" in name_fault("爱宗教书籍的人", [], banned)
    assert name_fault("Sicklepod Tea", [], banned) is None


def test_an_unknown_kind_of_banned_word_is_named():
    with pytest.raises(ValueError, match="'funny'"):
        banned_words(pl.DataFrame({"word": ["x"], "kind": ["funny"]}))
