"""Checks on what a language model wrote: it must be plain, unique, harmless and about the data."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from manyfaces.language.prompts import Evidence
from manyfaces.segments.naming import Vocabulary, phrase, stem, title_terms

NAME_CHARACTERS = (3, 60)
DESCRIPTION_CHARACTERS = (20, 300)
INTEREST_CHARACTERS = (3, 160)
_PUNCTUATION = frozenset(
    " \u3000&'\u2018\u2019\u201c\u201d\",.;:!?%+/()\u00b7\u30fb\u3001\u3002\uff0c\uff01\u2026"
)
# Letters of Persian and of Indian scripts are joined by these two.
_JOINERS = frozenset("\u200c\u200d")
_ADDRESS = re.compile(r"\bhttps?\b|\bwww\.|\b[\w-]+\.[a-z]{2,}\b", re.IGNORECASE)
_PHONE = re.compile(r"\d(?:[\s().+/-]{0,2}\d){6,}")
_KEY = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE)
_CJK = re.compile("[\u3040-\u9fff]")
_NUMBER = re.compile(r"\d+")
_NEXT_SENTENCE = re.compile(r"[.!?\u2026]\s+\S|[\u3002\uff01]\s*\S")


@dataclass(frozen=True)
class Rules:
    """What the texts about one segment have to keep to.

    Attributes:
        evidence: What the model was told.
        vocabulary: Tells words that say something from those that do not.
        banned_in_names: Words and phrases that no name may hold.
        banned: Words and phrases that no text may hold.
        segment_ids: Ids that no text may hold.
    """

    evidence: Evidence
    vocabulary: Vocabulary
    banned_in_names: frozenset[str]
    banned: frozenset[str]
    segment_ids: frozenset[str] = frozenset()

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the words of the evidence that say something."""
        return frozenset().union(*(_stems(label, self.vocabulary) for label in self.evidence.labels))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Numbers in the labels; those of the figures belong into tables."""
        return frozenset(number for label in self.evidence.labels for number in _NUMBER.findall(label))


def banned_words(words: pl.DataFrame) -> tuple[frozenset[str], frozenset[str]]:
    """Read rows of word, kind: technical (not in names) or sensitive (in no text).

    Returns:
        Words banned in names, and those banned everywhere, which are among the first.

    Raises:
        ValueError: If a kind is unknown.
    """
    unknown = sorted(set(words["kind"]) - {"technical", "sensitive"}, key=str)
    if unknown:
        raise ValueError(f"banned_name_words: the kind {unknown[0]!r} is neither technical nor sensitive.")
    sensitive = frozenset(words.filter(pl.col("kind") == "sensitive")["word"])
    return frozenset(words["word"]), sensitive


def name_fault(name: object, names_taken: Collection[str], rules: Rules) -> str | None:
    """Return why a name cannot be shown, or None.

    Args:
        name: What the model gave.
        names_taken: Names of the other segments of the segmentation.
        rules: What it has to keep to.
    """
    return (
        _plainness_fault(name, NAME_CHARACTERS, rules.banned_in_names, rules)
        or _number_fault(name, rules)
        or _evidence_fault(name, rules)
        or _uniqueness_fault(name, names_taken)
    )


def description_fault(description: object, rules: Rules) -> str | None:
    """Return why a description cannot be shown, or None."""
    return (
        _plainness_fault(description, DESCRIPTION_CHARACTERS, rules.banned, rules)
        or _number_fault(description, rules)
        or _evidence_fault(description, rules)
        or ("is more than one sentence" if _NEXT_SENTENCE.search(description) else None)
    )


def interest_fault(category: object, text: object, rules: Rules) -> str | None:
    """Return why the text about an interest cannot be shown, or None.

    It stands under its category, so it need not name a word of the evidence itself.
    """
    if category not in rules.evidence.interests:
        return "is about a category that was not asked for"
    return _plainness_fault(text, INTEREST_CHARACTERS, rules.banned, rules) or _number_fault(text, rules)


def kept_name_fault(name: str, names_taken: Collection[str], rules: Rules) -> str | None:
    """Return why a name that was good at an earlier build cannot stay, or None.

    It may outlast the words it was made of: a name lasts as long as its segment.
    """
    return _plainness_fault(name, NAME_CHARACTERS, rules.banned_in_names, rules) or _uniqueness_fault(
        name, names_taken
    )


def clean(text: object) -> object:
    """Return a text in Unicode's composed form without blanks around it; other things as they are."""
    return unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else text


def _plainness_fault(
    text: object, length: tuple[int, int], banned: Iterable[str], rules: Rules
) -> str | None:
    """Return what is wrong with a text whatever the segment, or None."""
    if not isinstance(text, str):
        return "is no text"
    if not length[0] <= len(text) <= length[1]:
        return f"has {len(text)} characters, not {length[0]} to {length[1]}"
    odd = next((character for character in text if not _is_plain(character)), None)
    if odd is not None:
        return f"holds the character U+{ord(odd):04X}, which is no plain text"
    if not any(character.isalpha() for character in text):
        return "holds no letter"
    if _ADDRESS.search(text):
        return "holds a web address"
    if _KEY.search(text) or any(segment_id.lower() in text.lower() for segment_id in rules.segment_ids):
        return "holds an id"
    if _PHONE.search(text):
        return "holds a telephone number"
    word = _banned_word(text, banned)
    return f"holds the word {word!r}, which seed banned_name_words bans" if word else None


def _number_fault(text: str, rules: Rules) -> str | None:
    invented = not rules.numbers.issuperset(_NUMBER.findall(text))
    return "holds a number that is in no label" if invented else None


def _evidence_fault(text: str, rules: Rules) -> str | None:
    is_about_it = _stems(text, rules.vocabulary) & rules.stems
    return None if is_about_it else "shares no word with what sets the segment apart"


def _uniqueness_fault(name: str, names_taken: Collection[str]) -> str | None:
    is_taken = _spelling(name) in map(_spelling, names_taken)
    return "is the name of another segment" if is_taken else None


def _is_plain(character: str) -> bool:
    """Say whether a character is a letter, a mark or a digit of any script, a dash, or plain punctuation."""
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "Pd" or character in _PUNCTUATION or character in _JOINERS


def _banned_word(text: str, banned: Iterable[str]) -> str | None:
    """Return the first banned word or phrase, in any number and case; of Chinese and Japanese, any part."""
    spoken = _spelling(text)
    for word in sorted(banned):
        wanted = _spelling(word)
        if wanted and (f" {wanted} " in f" {spoken} " or (_CJK.search(wanted) and wanted in spoken)):
            return word
    return None


def _spelling(text: str) -> str:
    """Return the stems of all words of a text: what makes two names the same to a reader."""
    return " ".join(
        stem(word) for word in re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    )


def _stems(text: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Return the stems of the words that say something; of Chinese, pairs of characters and more."""
    words = [word for term in title_terms(text, vocabulary) for word in term]
    return frozenset(
        stem(word) for word in (*words, *phrase(text, vocabulary)) if vocabulary.stands_alone([word])
    )
