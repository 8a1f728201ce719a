"""Readable labels of categories, the same wherever a category stands in a sentence."""

import re
from collections.abc import Sequence
from itertools import chain, count

import polars as pl

from manyfaces.segments.naming import Vocabulary, phrase

LABEL_SCHEMA = {"category": pl.String, "label": pl.String}

_SIGNS = re.compile(r"[^\w&]+")


def label_categories(categories: Sequence[str], words: pl.DataFrame) -> pl.DataFrame:
    """Spell categories out as segment names do: "FRZN MEAT" is Frozen Meat, "CHEESE/DIPS" is Cheese.

    Two categories never share a label. Of those that would, the shortest gets it; the others say all of
    their parts ("Cheese Dips"), or stand in sentence case, as they are, or with a number behind.

    Args:
        categories: Distinct categories in any order.
        words: abbreviation, word, kind: the seed name_words.

    Returns:
        One row per category with the columns of LABEL_SCHEMA, ordered by category.
    """
    vocabulary = Vocabulary.from_frame(words)
    labels: dict[str, str] = {}
    taken = {""}
    for category in sorted(categories, key=lambda category: (len(category), category)):
        offers = (
            " ".join(phrase(category, vocabulary)),
            " ".join(phrase(_SIGNS.sub(" ", category), vocabulary)),
            category[:1].upper() + category[1:].lower(),
            category,
        )
        numbered = (f"{category} {number}" for number in count(2))
        labels[category] = next(offer for offer in chain(offers, numbered) if offer not in taken)
        taken.add(labels[category])
    return pl.DataFrame(sorted(labels.items()), LABEL_SCHEMA, orient="row")
