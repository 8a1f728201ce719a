from pathlib import Path

import polars as pl

from manyfaces.segments.labels import LABEL_SCHEMA, label_categories

SEED = Path(__file__).resolve().parents[2] / "seeds" / "name_words.csv"
WORDS = pl.read_csv(SEED, schema={"abbreviation": pl.String, "word": pl.String, "kind": pl.String})


def labels(*categories):
    return dict(label_categories(categories, WORDS).iter_rows())


def test_abbreviations_are_spelled_out():
    assert labels("FRZN FRUITS", "REFRGRATD JUICES/DRNKS", "BAG SNACKS") == {
        "BAG SNACKS": "Salty Snacks",
        "FRZN FRUITS": "Frozen Fruits",
        "REFRGRATD JUICES/DRNKS": "Refrigerated Juices",
    }


def test_two_categories_never_share_a_label_and_the_shortest_gets_it():
    assert labels("CHICKEN/POULTRY", "CHICKEN", "SEAFOOD - FROZEN", "FRZN SEAFOOD") == {
        "CHICKEN": "Chicken",
        "CHICKEN/POULTRY": "Chicken Poultry",
        "FRZN SEAFOOD": "Frozen Seafood",
        "SEAFOOD - FROZEN": "Seafood - frozen",
    }
    assert labels("LAMPS", "Lamps", "lamps") == {"LAMPS": "Lamps", "Lamps": "Lamps 2", "lamps": "lamps"}


def test_a_category_of_which_no_word_says_anything_keeps_its_text():
    assert labels("MISC", "家居") == {"MISC": "Misc", "家居": "家居"}


def test_no_categories_give_a_typed_empty_frame():
    empty = label_categories([], WORDS)
    assert empty.is_empty()
    assert dict(empty.schema) == LABEL_SCHEMA
