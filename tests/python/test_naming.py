import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from languages import CHINESE, ENGLISH

from manyfaces.segments.naming import (
    NAME_SCHEMA,
    Vocabulary,
    name_segmentations,
    name_segments,
    phrase,
    title_terms,
)

CATEGORIES = ["segment_id", "category", "users", "share", "lift"]
ITEMS = ["segment_id", "title", "category", "subcategory", "users", "share", "lift"]
SEED = Path(__file__).resolve().parents[2] / "seeds" / "name_words.csv"


@pytest.fixture(scope="module")
def words():
    return pl.read_csv(SEED, schema={"abbreviation": pl.String, "word": pl.String, "kind": pl.String})


@pytest.fixture(scope="module")
def vocabulary(words):
    return Vocabulary.from_frame(words)


NO_WORDS = pl.DataFrame(schema={"abbreviation": pl.String, "word": pl.String, "kind": pl.String})


def categories(*rows):
    kinds = [pl.String, pl.String, pl.Int64, pl.Float64, pl.Float64]
    return pl.DataFrame(
        [(segment, category, 20, share, lift) for segment, category, share, lift in rows],
        schema=dict(zip(CATEGORIES, kinds, strict=True)),
        orient="row",
    )


def items(*rows):
    kinds = [pl.String, pl.String, pl.String, pl.String, pl.Int64, pl.Float64, pl.Float64]
    return pl.DataFrame(
        [(segment, title, None, None, 20, share, lift) for segment, title, share, lift in rows],
        schema=dict(zip(ITEMS, kinds, strict=True)),
        orient="row",
    )


def names(frame):
    return dict(frame.select("segment_id", "name").iter_rows())


# --- labels to words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("FRZN PIZZA", "Frozen Pizza"),
        ("SFT DRNK 2 LITER BTL CARB INCL", "Soft Drinks Bottle Carbonated"),
        ("CONVENIENT BRKFST/WHLSM SNACKS", "Breakfast Bars"),
        ("PNT BTR/JELLY/JAMS", "Peanut Butter"),
        ("REFRGRATD JUICES/DRNKS", "Refrigerated Juices"),
        ("SALD DRSNG/SNDWCH SPRD", "Salad Dressing"),
        ("FRZN MEAT/MEAT DINNERS", "Frozen Dinners"),
        ("SEAFOOD - FROZEN", "Frozen Seafood"),
        ("DIAPERS & DISPOSABLES", "Diapers"),
        ("COLD AND FLU", "Cold Remedies"),
        ("DOG & CAT TOYS", "Dog and Cat Toys"),
        ("CANDY BARS (SINGLES)(INCLUDING", "Candy Bars"),
        ("YOGURT NOT MULTI-PACKS", "Yogurt"),
        ("BBQ SAUCE", "BBQ Sauce"),
        ("SMOKED/COOKED SAUSAGE", "Smoked Cooked Sausage"),
        ("PREMIUM", ""),
        ("OTHER - FULLY COOKED", ""),
        ("", ""),
        ("12 OZ 1.5", ""),
        ("iPhone Cases", "iPhone Cases"),
        ("母婴用品", "母婴用品"),
    ],
)
def test_labels_become_readable(label, expected, vocabulary):
    assert " ".join(phrase(label, vocabulary)) == expected


def test_labels_without_a_seed_are_only_tidied():
    assert phrase("WOMEN'S SHOES - SIZE 7 / 8", Vocabulary()) == ("Women's", "Shoes")


def test_titles_give_words_that_say_something(vocabulary):
    terms = title_terms("Fluid milk white only, private brand, 1 GA", vocabulary)
    assert ("Fluid", "Milk") in terms
    flat = {word for term in terms for word in term}
    assert not flat & {"Private", "Brand", "Ga", "1", "Only"}
    assert ("White",) not in terms


def test_chinese_titles_give_characters_in_a_row():
    terms = title_terms("婴儿奶瓶 240ml", Vocabulary())
    assert {("婴儿",), ("奶瓶",), ("婴儿奶瓶",)} <= terms
    assert all(len(term[0]) <= 4 for term in terms)


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match="kind 'typo' of 'frzn'"):
        Vocabulary.from_frame(pl.DataFrame({"abbreviation": ["frzn"], "word": ["Frozen"], "kind": ["typo"]}))


def test_seed_spells_keys_as_they_are_looked_up(words):
    assert words["abbreviation"].str.to_lowercase().equals(words["abbreviation"])
    assert not words.select("abbreviation", "kind").is_duplicated().any()
    shown = words.filter(pl.col("kind").is_in(["label", "expand"]))["word"].drop_nulls()
    assert shown.str.contains(r"^\s|\s$|\s{2}").sum() == 0


# --- names --------------------------------------------------------------------------------------


def test_two_preferred_categories_make_a_name(words):
    liked = categories(
        ("s1", "BABY FOODS", 0.08, 10.0),
        ("s1", "DIAPERS & DISPOSABLES", 0.01, 4.0),
        ("s1", "FLUID MILK PRODUCTS", 0.05, 1.15),
        ("s2", "CAT FOOD", 0.05, 9.0),
        ("s2", "CAT LITTER", 0.006, 4.0),
        ("s2", "FLUID MILK PRODUCTS", 0.05, 1.15),
    )
    named = name_segments(["s1", "s2"], liked, items(), words, ENGLISH)
    assert names(named) == {"s1": "Baby Foods & Diapers", "s2": "Cat Food & Litter"}
    assert named["source"].unique().to_list() == ["terms"]
    evidence = json.loads(named["evidence"][0])
    assert evidence["concepts"][0] == {
        "concept": "Baby Foods",
        "label": "BABY FOODS",
        "level": "category",
        "lift": 10.0,
        "share": 0.08,
        "users": 20,
        "weight": evidence["concepts"][0]["weight"],
    }
    assert named["terms"][1].startswith("Cat Food, Cat Litter")


def test_a_concept_names_one_segment_and_the_other_takes_its_next(words):
    liked = categories(
        ("s1", "SOFT DRINKS", 0.10, 2.0),
        ("s1", "BEERS/ALES", 0.02, 2.0),
        ("s2", "SOFT DRINKS", 0.08, 1.6),
        ("s2", "FROZEN PIZZA", 0.02, 1.5),
        ("s2", "BACON", 0.01, 1.5),
    )
    assert names(name_segments(["s1", "s2"], liked, items(), words, ENGLISH)) == {
        "s1": "Soft Drinks & Beer",
        "s2": "Frozen Pizza & Bacon",
    }


def test_what_tells_segments_apart_comes_before_what_they_share(words):
    own = {"s1": "BEEF", "s2": "YOGURT", "s3": "EGGS"}
    liked = categories(
        *[(segment, "SOFT DRINKS", 0.10, 2.0) for segment in own],
        *[(segment, label, 0.09, 2.0) for segment, label in own.items()],
    )
    named = names(name_segments(list(own), liked, items(), words, ENGLISH))
    assert {segment: name.split(" & ")[0] for segment, name in named.items()} == {
        "s1": "Beef",
        "s2": "Yogurt",
        "s3": "Eggs",
    }


def test_no_word_stands_twice_in_a_name(words):
    liked = categories(
        ("s1", "DOG FOODS", 0.10, 5.0),
        ("s1", "CAT FOOD", 0.09, 5.0),
        ("s1", "PET CARE SUPPLIES", 0.02, 3.0),
    )
    assert names(name_segments(["s1"], liked, items(), words, ENGLISH)) == {
        "s1": "Dog Foods & Pet Care Supplies"
    }


def test_subcategories_and_titles_complete_poor_categories(words):
    liked = categories(("s1", "GROCERY", 0.5, 1.3), ("s2", "GROCERY", 0.4, 1.2))
    bought = pl.DataFrame(
        [
            ("s1", "Peaches large", "GROCERY", "PEACHES", 30, 0.4, 3.0),
            ("s1", "Plums", "GROCERY", "PLUMS", 30, 0.3, 3.0),
            ("s2", "Choice steak", "BEEF", "CHOICE", 30, 0.4, 3.0),
        ],
        schema=items().schema,
        orient="row",
    )
    assert names(name_segments(["s1", "s2"], liked, bought, words, ENGLISH)) == {
        "s1": "Grocery & Peaches",
        "s2": "Choice Beef & Steak",
    }


def test_titles_alone_name_segments(words):
    bought = items(
        ("s1", "CHOCOLATE HOT WATER BOTTLE", 0.30, 6.0),
        ("s1", "HOT WATER BOTTLE KEEP CALM", 0.30, 6.0),
        ("s1", "HAND WARMER OWL DESIGN", 0.20, 5.0),
        ("s1", "HAND WARMER BIRD DESIGN", 0.20, 5.0),
        ("s2", "REGENCY TEACUP AND SAUCER", 0.40, 5.0),
        ("s2", "REGENCY TEAPOT", 0.40, 5.0),
        ("s2", "CAKE STAND 3 TIER", 0.30, 4.0),
    )
    named = names(name_segments(["s1", "s2"], categories(), bought, words, ENGLISH))
    assert named["s1"] == "Hot Water Bottle & Hand Warmer"
    assert named["s2"].startswith("Regency & ")


def test_two_pieces_of_the_same_titles_make_no_name(words):
    bought = items(
        ("s1", "METAL KITCHEN SIGN", 0.4, 5.0),
        ("s1", "METAL GARDEN SIGN", 0.4, 5.0),
        ("s1", "BATHROOM SIGN", 0.4, 5.0),
        ("s1", "DOORMAT", 0.2, 4.0),
    )
    assert names(name_segments(["s1"], categories(), bought, words, ENGLISH)) == {"s1": "Sign & Doormat"}


def test_chinese_titles_and_categories_name_segments():
    bought = items(
        *[("s1", title, 0.3, 5.0) for title in ("婴儿奶瓶", "婴儿湿巾", "婴儿纸尿裤", "宝宝奶瓶")],
        *[("s2", title, 0.3, 5.0) for title in ("咖啡豆", "咖啡机", "黑巧克力", "牛奶巧克力")],
    )
    by_title = names(name_segments(["s1", "s2"], categories(), bought, NO_WORDS, ENGLISH))
    assert by_title == {"s1": "婴儿 & 奶瓶", "s2": "咖啡 & 巧克力"}
    liked = categories(("s1", "母婴用品", 0.3, 5.0), ("s2", "咖啡与茶", 0.3, 5.0))
    by_category = names(name_segments(["s1", "s2"], liked, bought, NO_WORDS, ENGLISH))
    assert by_category["s1"].startswith("母婴用品")
    assert by_category["s2"].startswith("咖啡与茶")


def test_names_do_not_depend_on_the_order_of_rows(words):
    labels = ["BEEF", "PORK", "APPLES", "YOGURT", "EGGS", "SOUP", "BACON", "PIES", "NUTS", "CORN", "TEAS"]
    rows = [
        (f"s{segment}", label, round(0.01 + 0.013 * ((segment * 7 + place * 5) % 11), 3), 1.2 + place % 3)
        for segment in range(6)
        for place, label in enumerate(labels)
    ]
    liked = categories(*rows)
    bought = items(*[(segment, label.title(), share, lift) for segment, label, share, lift in rows])
    first = name_segments([f"s{number}" for number in range(6)], liked, bought, words, ENGLISH)
    for seed in range(3):
        shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (liked, bought, words)]
        again = name_segments([f"s{number}" for number in (3, 1, 5, 0, 4, 2)], *shuffled, ENGLISH)
        assert again.equals(first)
    assert first["name"].n_unique() == 6


def test_segments_that_like_the_same_get_different_names(words):
    rows = [("BEEF", 0.10, 3.0), ("PORK", 0.05, 3.0)]
    liked = categories(*[(segment, *row) for segment in ("s1", "s2", "s3", "s4") for row in rows])
    bought = items(("s3", "Ground beef", 0.4, 3.0), ("s4", "Ground beef", 0.4, 3.0))
    named = name_segments(["s1", "s2", "s3", "s4"], liked, bought, words, ENGLISH)
    assert named["name"].n_unique() == 4
    assert not named["name"].str.contains(r"\d").any()


def test_weak_preferences_name_nothing(words):
    liked = categories(("s1", "BEEF", 0.1, 1.05), ("s2", "PORK", 0.1, 0.9))
    named = name_segments(["s1", "s2", "s3"], liked, items(), words, ENGLISH)
    assert names(named) == {"s1": "Mixed Tastes", "s2": "Segment A", "s3": "Segment B"}
    assert named["source"].to_list() == ["mixed", "letter", "letter"]
    assert json.loads(named["evidence"][0]) == {"concepts": [], "items": []}


def test_an_item_names_a_segment_when_its_words_say_nothing():
    bought = items(("s1", "4711", 0.4, 3.0), ("s2", "4711", 0.3, 3.0), ("s2", "0815", 0.2, 3.0))
    named = name_segments(["s1", "s2"], categories(), bought, NO_WORDS, ENGLISH)
    assert names(named) == {"s1": "Fans of 4711", "s2": "Fans of 0815"}
    assert named["source"].unique().to_list() == ["top_item"]


def test_more_segments_than_letters_are_named():
    named = name_segments(
        [f"s{number:02d}" for number in range(28)], categories(), items(), NO_WORDS, ENGLISH
    )
    assert named["name"].to_list()[24:] == ["Segment Y", "Segment Z", "Segment AA", "Segment AB"]


def test_segmentations_are_named_apart(words):
    liked = categories(("a-01", "BEEF", 0.1, 3.0), ("b-01", "BEEF", 0.1, 3.0))
    segments = pl.DataFrame({"segmentation": ["b", "a"], "segment_id": ["b-01", "a-01"]})
    named = name_segmentations(segments, liked, items(), words, ENGLISH)
    assert named.schema == NAME_SCHEMA
    assert named.select("segmentation", "segment_id", "name").rows() == [
        ("a", "a-01", "Beef"),
        ("b", "b-01", "Beef"),
    ]


def test_nothing_to_name():
    segments = pl.DataFrame(schema={"segmentation": pl.String, "segment_id": pl.String})
    named = name_segmentations(segments, categories(), items(), NO_WORDS, ENGLISH)
    assert named.schema == NAME_SCHEMA
    assert named.is_empty()


def test_a_name_lasts_as_long_as_its_id():
    words = pl.DataFrame(schema={"abbreviation": pl.String, "word": pl.String, "kind": pl.String})

    def liked(**favourites):
        rows = [
            {"segment_id": segment.replace("_", "-"), "category": name, "users": 9, "share": 0.9, "lift": 3.0}
            for segment, name in favourites.items()
        ]
        return pl.DataFrame(rows)

    def segments(*ids):
        return pl.DataFrame({"segmentation": ["taste"] * len(ids), "segment_id": list(ids)})

    items = pl.DataFrame(
        schema={
            "segment_id": pl.String,
            "title": pl.String,
            "category": pl.String,
            "subcategory": pl.String,
            "users": pl.Int64,
            "share": pl.Float64,
            "lift": pl.Float64,
        }
    )
    january, february = datetime(2025, 1, 1), datetime(2025, 2, 1)
    first = name_segmentations(
        segments("taste-1", "taste-2"), liked(taste_1="coffee", taste_2="tea"), items, words, ENGLISH, january
    )
    assert first["name"].to_list() == ["Coffee", "Tea"]
    # Tastes have changed: the old segments keep their names, and nobody else is called Coffee.
    moved = liked(taste_1="bread", taste_2="tea", taste_3="coffee")
    second = name_segmentations(segments("taste-1", "taste-3"), moved, items, words, ENGLISH, february, first)
    names = dict(second.select("segment_id", "name").iter_rows())
    assert names["taste-1"] == "Coffee"
    assert "Coffee" not in names["taste-3"]
    assert second["named_as_of"].to_list() == [january, february]
    # The same wall again: what was named at it is named again.
    again = name_segmentations(segments("taste-1", "taste-3"), moved, items, words, ENGLISH, february, second)
    assert again.equals(second)
    anew = name_segmentations(segments("taste-1"), moved, items, words, ENGLISH, january, second)
    assert anew["name"].to_list() == ["Bread"]
    # In another language, and back: names of the other language do not last.
    chinese = name_segmentations(segments("taste-1"), moved, items, words, CHINESE, february, second)
    assert (chinese["name"].to_list(), chinese["language"].to_list()) == (["Bread"], ["zh"])
    # What an earlier version left has no language.
    old = first.drop("language")
    kept = name_segmentations(segments("taste-1"), moved, items, words, ENGLISH, february, old)
    assert kept["name"].to_list() == ["Coffee"]


def test_words_between_the_parts_are_of_the_language(words):
    liked = categories(("s1", "COFFEE", 0.5, 3.0), ("s1", "TEA", 0.4, 3.0))
    bought = items(("s2", "Brass lamp 7", 0.5, 3.0))
    named = names(name_segments(["s1", "s2", "s3"], liked, bought, words, CHINESE))
    assert named["s1"] == "Coffee与Tea"
    assert named["s3"] == "群组 A"
    # A part of a name that is taken is not given again, in this language either.
    other = names(name_segments(["s1"], liked, items(), words, CHINESE, ["Coffee与Milk"]))
    assert other == {"s1": "Tea"}


def test_a_segment_without_concepts_has_a_name_of_the_language():
    liked = categories(("s1", "COFFEE", 0.5, 1.0))
    assert names(name_segments(["s1"], liked, items(), NO_WORDS, CHINESE)) == {"s1": "口味多样"}
    bought = items(("s1", "7", 0.5, 3.0))
    assert names(name_segments(["s1"], categories(), bought, NO_WORDS, CHINESE)) == {"s1": "7的爱好者"}
