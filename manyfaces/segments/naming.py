"""Readable names of segments from what they like more than everybody else does.

The terms of a segment are weighted by c-TF-IDF (class-based TF-IDF, Grootendorst 2022, arXiv:2203.05794,
section 3.3): all rows of a segment are one document. What counts as term frequency is not a count but how
much the segment prefers a thing: share x ln(lift), its part in the Kullback-Leibler divergence from
everybody, so that common and rare things compete fairly. A name joins two concepts: categories first, then
subcategories, then words of titles.
"""

import json
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from string import ascii_uppercase

import polars as pl

from manyfaces.phrases import Phrases

# Levels of concepts in the order in which they name a segment.
LEVELS = ("category", "subcategory", "title")
# A preference weaker than this names nothing.
MIN_LIFT = 1.1
# Items of a segment that take part, its most distinctive ones.
ITEMS_PER_SEGMENT = 200
# Concepts of one level that may name a segment: its own strongest ones, not leftovers.
CONCEPTS_PER_LEVEL = 8
MAX_WORDS = 4
TERMS_SHOWN = 8
# A shorter title term gives way to a longer one that holds it and has this share of its weight.
LONGER_TERM_SHARE = 0.6

# Function words and units; words of a trade are in the seed name_words.
_STOP_TEXT = """
    a all an are as at be by each etc for from his her in incl including into is it its misc miscellaneous
    more n new no of off on only or other others over per plus s some than that the their these this
    to under up very via w who with without wo x your our
    cl cm ct count fl ft g ga gal gallon gram grams inch inches kg l lb lbs liter litre liters litres ltr m mg
    ml mm ounce ounces oz pc pcs piece pieces pk pkg pt qt size sizes sz
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())

NAME_SCHEMA = {
    "segmentation": pl.String,
    "segment_id": pl.String,
    "name": pl.String,
    "source": pl.String,
    "terms": pl.String,
    "evidence": pl.String,
    "language": pl.String,
    "named_as_of": pl.Datetime("us"),
}

_CJK = "\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['\u2019][^\W\d_{_CJK}]+)?|&")
_IS_CJK = re.compile(rf"[{_CJK}]")
_PART = re.compile(r"\s+[-\u2013\u2014]\s+|\s*[/:;,|]\s*")
# What follows is left out: brackets, and what a thing is not.
_ASIDE = re.compile(r"[(\[\u3010].*|\b(?:not|without|except|excluding)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class Vocabulary:
    """What the words of a trade mean.

    Attributes:
        labels: Words that replace a whole label, by its lower-case tokens.
        expansions: Words that replace a sequence of lower-case tokens.
        dropped: Lower-case words that say nothing.
        qualifiers: Lower-case words that say nothing alone ("frozen") and stand before what they qualify.
        generic: Lower-case words that say nothing alone ("care") and stand behind.
    """

    labels: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    expansions: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    dropped: frozenset[str] = STOP_WORDS
    qualifiers: frozenset[str] = frozenset()
    generic: frozenset[str] = frozenset()

    @classmethod
    def from_frame(cls, words: pl.DataFrame) -> "Vocabulary":
        """Read rows of abbreviation, word, kind: label, expand, drop, qualifier or generic.

        Raises:
            ValueError: If a kind is unknown.
        """
        labels, expansions, dropped, qualifiers, generic = {}, {}, set(STOP_WORDS), set(), set()
        for abbreviation, word, kind in words.select("abbreviation", "word", "kind").iter_rows():
            key, replacement = tuple(_tokens(abbreviation.lower())), tuple((word or "").split())
            if kind == "label":
                labels[key] = replacement
            elif kind == "expand":
                expansions[key] = replacement
            elif kind == "drop":
                expansions[key] = ()
                dropped.add(abbreviation.lower())
            elif kind == "qualifier":
                expansions[key] = replacement or tuple(map(_title_case, key))
                qualifiers.add(" ".join(expansions[key]).lower())
            elif kind == "generic":
                generic.add(abbreviation.lower())
            else:
                raise ValueError(
                    f"name_words: the kind {kind!r} of {abbreviation!r} is none of label, expand, drop, "
                    "qualifier, generic."
                )
        return cls(labels, expansions, frozenset(dropped), frozenset(qualifiers), frozenset(generic))

    def expand(self, tokens: Sequence[str]) -> list[str]:
        """Replace abbreviations, longest sequence first, and leave out words that say nothing."""
        longest = max(map(len, self.expansions), default=0)
        words, position = [], 0
        while position < len(tokens):
            for length in range(min(longest, len(tokens) - position), 0, -1):
                key = tuple(token.lower() for token in tokens[position : position + length])
                if key in self.expansions:
                    words += self.expansions[key]
                    position += length
                    break
            else:
                words.append(_title_case(tokens[position]))
                position += 1
        return [
            word
            for word in words
            if word.lower() not in self.dropped
            and (word == "&" or (len(word) > 1 and not any(map(str.isdigit, word))))
        ]

    def stands_alone(self, words: Iterable[str]) -> bool:
        """Say whether a word among these says something by itself."""
        weak = self.qualifiers | self.generic | {"&", "and"}
        return any(word.lower() not in weak for word in words)

    def qualifies(self, words: Iterable[str]) -> bool:
        """Say whether these words only qualify another one."""
        return all(word.lower() in self.qualifiers for word in words)


@dataclass(frozen=True)
class Concept:
    """A few words that may name a segment, with the weight and the row they come from.

    `titles` are those that a term of titles occurs in.
    """

    words: tuple[str, ...]
    level: str
    score: float
    label: str
    users: int
    share: float
    lift: float
    titles: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The words as they are shown."""
        return " ".join(self.words)


def phrase(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Turn a label such as "FRZN MEAT/MEAT DINNERS" into readable words, ("Frozen", "Meat").

    Of alternatives the first counts; a qualifier behind a dash or at the end moves to the front ("SEAFOOD -
    FROZEN" becomes Frozen Seafood). Abbreviations are expanded, digits, units and stop words dropped.

    Returns:
        At most MAX_WORDS words in title case; none when only qualifiers are left.
    """
    text = unicodedata.normalize("NFKC", text)
    whole = vocabulary.labels.get(tuple(token.lower() for token in _tokens(text)))
    if whole is not None:
        return whole
    parts = [
        _head(vocabulary.expand(_tokens(part)), vocabulary) for part in _PART.split(_ASIDE.sub("", text))
    ]
    parts = [part for part in parts if part]
    if not parts:
        return ()
    words, *rest = parts
    if rest and not vocabulary.stands_alone(words):
        words += rest.pop(0)
    elif rest and vocabulary.qualifies(rest[0]):
        words = rest[0] + words
    if not vocabulary.stands_alone(words):
        return ()
    while vocabulary.qualifies(words[-1:]):
        words = words[-1:] + words[:-1]
    return tuple(_without_repeats(words)[:MAX_WORDS])


def title_terms(title: str, vocabulary: Vocabulary) -> set[tuple[str, ...]]:
    """Return one to three neighbouring words of a title that say something; of Chinese, 2 to 4 characters."""
    title = unicodedata.normalize("NFKC", title)
    terms = set()
    for part in _PART.split(_ASIDE.sub("", title)):
        words = [word for word in vocabulary.expand(_tokens(part)) if word != "&"]
        for run in filter(_IS_CJK.match, words):
            terms |= {(run[at : at + size],) for size in (2, 3, 4) for at in range(len(run) - size + 1)}
        words = [word for word in words if not _IS_CJK.match(word)]
        terms |= {
            tuple(words[at : at + size])
            for size in (1, 2, 3)
            for at in range(len(words) - size + 1)
            if vocabulary.stands_alone(words[at + size - 1 : at + size])
            and len(set(map(stem, words[at : at + size]))) == size
        }
    return terms


def name_segments(
    segment_ids: Sequence[str],
    categories: pl.DataFrame,
    items: pl.DataFrame,
    words: pl.DataFrame,
    phrases: Phrases,
    taken: Iterable[str] = (),
) -> pl.DataFrame:
    """Name the segments of one segmentation.

    Concepts are given out by falling weight, first one to every segment, then a second one; each concept
    names one segment only, and no word stands twice in a name. Without any concept a segment is called after
    its most distinctive item; the first that prefers nothing has mixed tastes; what is left gets letters. The
    order of rows has no influence.

    Args:
        segment_ids: Segments to name.
        categories: segment_id, category, users, share, lift: per segment, how many users like it, its share
            and that share over everybody's (lift). Rows with less than MIN_LIFT say nothing.
        items: segment_id, title, category, subcategory, users, share, lift: likewise; a few hundred a
            segment.
        words: abbreviation, word, kind, see `Vocabulary.from_frame`.
        phrases: How parts are joined, and what segments are called without any.
        taken: Names that other segments have already; neither they nor their parts are given again.

    Returns:
        One row per segment: segment_id, name, source (terms, top_item, mixed or letter), terms (the strongest
        concepts), evidence (JSON: concepts with label, level, users, share, lift; titles of top items).
    """
    vocabulary = Vocabulary.from_frame(words)
    segment_ids = sorted(set(segment_ids))
    known = set(categories["segment_id"]) | set(items["segment_id"])
    categories, items = _preferred(categories, segment_ids), _preferred(items, segment_ids)
    concepts = {
        "category": _concepts("category", _labelled(categories, "category", vocabulary)),
        "subcategory": _concepts("subcategory", _subcategories(items, vocabulary)),
        "title": _concepts("title", _titles(items, vocabulary)),
    }
    taken = set(taken)
    joint = phrases.text("name_joined", first="", second="")
    used = {part.lower() for name in taken for part in name.split(joint)}
    unused = {
        level: {
            segment: [concept for concept in own if concept.text.lower() not in used]
            for segment, own in found.items()
        }
        for level, found in concepts.items()
    }
    chosen = _give_out(segment_ids, unused, vocabulary)
    numbered = (phrases.text("name_letter", letter=_letters(number)) for number in count())
    letters = (name for name in numbered if name not in taken)
    mixed = phrases.text("name_mixed")
    rows = []
    for segment in segment_ids:
        titles = items.filter(pl.col("segment_id") == segment)["title"].unique(maintain_order=True).to_list()
        strongest = [entry for level in LEVELS for entry in concepts[level].get(segment, [])]
        own = chosen[segment]
        name, source = joint.join(text for text, _ in own), "terms"
        if not name:
            named = (phrases.text("name_fans", title=title) for title in titles)
            name, source = next((text for text in named if text not in taken), ""), "top_item"
        if not name and segment in known and mixed not in taken:
            name, source = mixed, "mixed"
        if not name:
            name, source = next(letters), "letter"
        taken.add(name)
        rows.append(
            {
                "segment_id": segment,
                "name": name,
                "source": source,
                "terms": ", ".join(dict.fromkeys(entry.text for entry in strongest[:TERMS_SHOWN])),
                "evidence": json.dumps(
                    {"concepts": [_evidence(*entry) for entry in own], "items": titles[:3]},
                    ensure_ascii=False,
                    sort_keys=True,
                ),
            }
        )
    return pl.DataFrame(
        rows,
        schema={
            key: kind
            for key, kind in NAME_SCHEMA.items()
            if key not in ("segmentation", "language", "named_as_of")
        },
    )


def name_segmentations(
    segments: pl.DataFrame,
    categories: pl.DataFrame,
    items: pl.DataFrame,
    words: pl.DataFrame,
    phrases: Phrases,
    as_of: datetime | None = None,
    previous: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Name the segments of several segmentations, each by itself; see `name_segments`.

    A name lasts as long as the id of its segment: what was named at an earlier wall keeps its name, and only
    segments without one are named; in another language all are.

    Args:
        segments: segmentation, segment_id: what to name.
        categories: As in `name_segments`; segment ids are unique over segmentations.
        items: As in `name_segments`.
        words: As in `name_segments`.
        phrases: As in `name_segments`.
        as_of: The wall of the build.
        previous: Names of the last build, with the columns of NAME_SCHEMA; without a language, English ones.
            Those given at this wall or later are not kept, so that building a wall again gives the same.

    Returns:
        Columns of NAME_SCHEMA, ordered by segmentation and segment.
    """
    named = [pl.DataFrame(schema=NAME_SCHEMA)]
    kept = named[0]
    if previous is not None and "language" not in previous.columns:
        previous = previous.with_columns(language=pl.lit("en"))
    if previous is not None and dict(previous.schema) | NAME_SCHEMA == dict(previous.schema):
        kept = previous.select(*NAME_SCHEMA).filter(
            pl.col("named_as_of") < as_of, pl.col("language") == phrases.language
        )
    for (segmentation,), group in segments.sort("segmentation", "segment_id").group_by(
        "segmentation", maintain_order=True
    ):
        old = group.join(kept, on=["segmentation", "segment_id"], maintain_order="left")
        unnamed = group.join(old, on="segment_id", how="anti", maintain_order="left")["segment_id"].to_list()
        new = name_segments(unnamed, categories, items, words, phrases, old["name"]).select(
            pl.lit(segmentation).alias("segmentation"),
            pl.all(),
            pl.lit(phrases.language).alias("language"),
            pl.lit(as_of).cast(pl.Datetime("us")).alias("named_as_of"),
        )
        named.append(pl.concat([old.select(*NAME_SCHEMA), new]).sort("segment_id"))
    return pl.concat(named)


def _preferred(frame: pl.DataFrame, segment_ids: Sequence[str]) -> pl.DataFrame:
    """Keep what the segments like more than everybody does, with its weight, strongest first."""
    return (
        frame.filter(
            pl.col("segment_id").is_in(segment_ids) & (pl.col("lift") >= MIN_LIFT) & (pl.col("share") > 0)
        )
        .with_columns(weight=(pl.col("share") * pl.col("lift").log()).round(9))
        .filter(pl.col("weight") > 0)
        .sort(
            "segment_id", -pl.col("weight"), *(key for key in ("category", "title") if key in frame.columns)
        )
    )


# What a row contributes to a concept: segment, words, weight, label, users, share, lift.
_Entry = tuple[str, tuple[str, ...], float, str, int, float, float]


def _labelled(frame: pl.DataFrame, column: str, vocabulary: Vocabulary) -> list[_Entry]:
    """One concept per row: the phrase of a label column."""
    phrases = {label: phrase(label, vocabulary) for label in frame[column].drop_nulls().unique()}
    return [
        (segment, phrases[label], weight, label, users, share, lift)
        for segment, label, weight, users, share, lift in frame.select(
            "segment_id", column, "weight", "users", "share", "lift"
        ).iter_rows()
        if label is not None and phrases[label]
    ]


def _subcategories(items: pl.DataFrame, vocabulary: Vocabulary) -> list[_Entry]:
    """One concept per item: its subcategory; a mere qualifier ("PREMIUM") is completed by the category."""
    completed = items.filter(pl.col("subcategory").is_not_null()).with_columns(label=pl.col("subcategory"))
    if completed.is_empty():
        return []
    bare = {label for label in completed["label"].unique() if not phrase(label, vocabulary)}
    completed = completed.with_columns(
        label=pl.when(pl.col("label").is_in(bare) & pl.col("category").is_not_null())
        .then(pl.format("{} {}", "label", "category"))
        .otherwise("label")
    )
    return _labelled(completed, "label", vocabulary)


def _titles(items: pl.DataFrame, vocabulary: Vocabulary) -> list[_Entry]:
    """Several concepts per item: the terms of its title."""
    terms = {title: sorted(title_terms(title, vocabulary)) for title in items["title"].drop_nulls().unique()}
    return [
        (segment, term, weight, title, users, share, lift)
        for segment, title, weight, users, share, lift in items.select(
            "segment_id", "title", "weight", "users", "share", "lift"
        ).iter_rows()
        if title is not None
        for term in terms[title]
    ]


def _concepts(level: str, entries: list[_Entry]) -> dict[str, list[Concept]]:
    """Weigh concepts by c-TF-IDF: tf x ln(1 + A / f); return those of each segment, strongest first.

    tf is a concept's part of the segment's weight, f its sum over segments, A the mean sum of a segment,
    which is 1.
    """
    weights, strongest = defaultdict(lambda: defaultdict(float)), {}
    titles = defaultdict(set)
    for segment, words, weight, *row in entries:
        weights[segment][words] += weight
        if level == "title":
            titles[segment, words].add(row[0])
        best = strongest.get((segment, words))
        # The label of the heaviest row speaks for the concept, of equals the first by name.
        if best is None or (-weight, row) < best:
            strongest[segment, words] = (-weight, row)
    if level == "title":
        weights = {segment: _without_parts(terms) for segment, terms in weights.items()}
    total = {segment: sum(terms.values()) for segment, terms in weights.items()}
    spread = defaultdict(float)
    for segment in sorted(weights):
        for words, weight in sorted(weights[segment].items()):
            spread[words] += weight / total[segment]
    ranked = {}
    for segment, terms in weights.items():
        found = [
            Concept(
                words,
                level,
                round(weight / total[segment] * math.log(1 + 1 / spread[words]), 6),
                *strongest[segment, words][1],
                frozenset(titles[segment, words]),
            )
            for words, weight in terms.items()
        ]
        ranked[segment] = sorted(found, key=lambda concept: (-concept.score, concept.words))
    return ranked


def _without_parts(terms: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Leave out a term that mostly occurs inside one longer term."""
    longer = defaultdict(float)
    for words, weight in terms.items():
        last = len(words) - 1
        pieces = {words[:-1], words[1:]} if last else {(words[0][:-1],), (words[0][1:],)}
        for piece in pieces & terms.keys():
            longer[piece] = max(longer[piece], weight)
    return {words: weight for words, weight in terms.items() if longer[words] < LONGER_TERM_SHARE * weight}


def _give_out(
    segment_ids: Sequence[str], concepts: dict[str, dict[str, list[Concept]]], vocabulary: Vocabulary
) -> dict[str, list[tuple[str, Concept]]]:
    """Give every segment up to two concepts: the words shown and the concept; each names one segment."""
    chosen = {segment: [] for segment in segment_ids}
    used = set()
    for length in (0, 1):
        for level in LEVELS:
            offers = sorted(
                (
                    (-concept.score, segment, concept)
                    for segment in segment_ids
                    for concept in concepts[level].get(segment, [])[:CONCEPTS_PER_LEVEL]
                ),
                key=lambda offer: (offer[0], offer[1], offer[2].words),
            )
            for _, segment, concept in offers:
                stems = frozenset(map(stem, concept.words))
                shown = _next_to(chosen[segment], concept, vocabulary)
                if len(chosen[segment]) == length and stems not in used and shown:
                    chosen[segment].append((shown, concept))
                    used.add(stems)
    return chosen


def _next_to(chosen: list[tuple[str, Concept]], concept: Concept, vocabulary: Vocabulary) -> str:
    """Words of a concept as they stand behind those already chosen, none of them twice; "" if they cannot.

    Shared words at the beginning are left out: Cat Food & Litter.
    """
    before = {stem(word) for _, earlier in chosen for word in earlier.words}
    words = list(concept.words)
    while words and stem(words[0]) in before:
        words.pop(0)
    characters = {character for known in before if _IS_CJK.match(known) for character in known}
    if (
        any(stem(word) in before for word in words)
        or not vocabulary.stands_alone(words)
        or characters & set("".join(words))
        # A piece of the same titles: Hot Water next to Bottle.
        or any(2 * len(concept.titles & earlier.titles) > len(concept.titles) for _, earlier in chosen)
    ):
        return ""
    return " ".join(words)


def _evidence(shown: str, concept: Concept) -> dict:
    """What stands behind a part of a name."""
    return {
        "concept": shown,
        "level": concept.level,
        "label": concept.label,
        "users": concept.users,
        "share": round(concept.share, 4),
        "lift": round(concept.lift, 2),
        "weight": concept.score,
    }


def _tokens(text: str) -> list[str]:
    """Words and & of a text; & and "and" are the same."""
    return ["&" if token.lower() == "and" else token for token in _TOKEN.findall(text)]


def _head(words: list[str], vocabulary: Vocabulary) -> list[str]:
    """Keep of "x & y" the first, unless a single word shares the noun of the second: Dog and Cat Toys."""
    while words and words[0] == "&":
        words = words[1:]
    if "&" not in words:
        return words
    at = words.index("&")
    first, second = words[:at], [word for word in words[at + 1 :] if word != "&"]
    if len(first) == 1 and len(second) > 1:
        return [*first, "and", *second]
    return first if vocabulary.stands_alone(first) else first + second


def _without_repeats(words: list[str]) -> list[str]:
    """Keep the first of words that differ only by number."""
    return list({stem(word): word for word in reversed(words)}.values())[::-1]


def stem(word: str) -> str:
    """Singular of an English word, roughly: enough to see that two words are the same."""
    word = word.lower()
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "toes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _title_case(word: str) -> str:
    """Capitalise a word that is all in one case; keep others as they are written (iPhone), and small and."""
    if word == "and" or not (word.isupper() or word.islower()):
        return word
    return word[:1].upper() + word[1:].lower()


def _letters(number: int) -> str:
    """Number as spreadsheet columns count: A, B, ..., Z, AA, AB."""
    text = ""
    while number >= 0:
        text = ascii_uppercase[number % 26] + text
        number = number // 26 - 1
    return text
