"""Names, descriptions and interest texts of segments by a language model, or the reason for having none."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from manyfaces.language.cache import Answer, CachedLanguageModel
from manyfaces.language.client import EndpointError, LanguageModelError, Question
from manyfaces.language.prompts import read_evidence, require_many_users, segment_question
from manyfaces.language.validate import (
    Rules,
    banned_words,
    clean,
    description_fault,
    interest_fault,
    kept_name_fault,
    name_fault,
)
from manyfaces.progress import say
from manyfaces.segments.naming import Vocabulary

TEXT_SCHEMA = {
    "segmentation": pl.String,
    "segment_id": pl.String,
    "name": pl.String,
    "description": pl.String,
    "interests": pl.String,
    "source": pl.String,
    "model": pl.String,
    "prompt_hash": pl.String,
    "reason": pl.String,
    "generated_on": pl.Date,
    "generated_as_of": pl.Datetime("us"),
}
_UNASSIGNED = "Unassigned"


@dataclass(frozen=True)
class Wording:
    """How texts are written.

    Attributes:
        language: Language of the texts, by its English name.
        min_users: Users that have to stand behind everything that is said to the model.
        rename: Whether to ask again for segments that have a name from the model already.
    """

    language: str = "English"
    min_users: int = 5
    rename: bool = False


def empty_texts() -> pl.DataFrame:
    """Return no texts: what there is while no model is asked."""
    return pl.DataFrame(schema=TEXT_SCHEMA)


def write_segment_texts(
    model: CachedLanguageModel,
    segments: pl.DataFrame,
    evidence: pl.DataFrame,
    words: pl.DataFrame,
    banned: pl.DataFrame,
    overrides: pl.DataFrame,
    as_of: datetime,
    previous: pl.DataFrame | None = None,
    wording: Wording | None = None,
) -> pl.DataFrame:
    """Let a model name and describe segments, and keep what passes every check.

    A segment that had a name from the model at an earlier or the same wall keeps it; its description and
    interests as long as they fit the evidence. The others are asked for one after the other, each with the
    names that are taken. Once the endpoint fails, nothing more is asked of it.

    Args:
        model: Whom to ask.
        segments: segmentation, segment_id, name: the segments, with the names that they have without a model.
        evidence: Columns of prompts.EVIDENCE_SCHEMA: what sets the segments apart.
        words: The seed name_words.
        banned: word, kind: the seed banned_name_words.
        overrides: segment_id, name: names that people gave; no other segment may have them.
        as_of: The wall of the build, UTC.
        previous: The table of the last build.
        wording: How texts are written.

    Returns:
        A row per segment with the columns of TEXT_SCHEMA, ordered by segmentation and segment. source is llm,
        or rejected: then name, description and interests are null, and reason says why. With source llm,
        reason says which of the other texts was left out.

    Raises:
        ValueError: If the evidence holds more than figures about enough users.
    """
    wording = wording or Wording()
    require_many_users(evidence, wording.min_users)
    writer = _Writer(model, evidence, words, banned, as_of, wording)
    kept = {} if wording.rename else _kept_rows(previous, as_of)
    rows = [
        row
        for (segmentation,), group in segments.sort("segmentation", "segment_id").group_by(
            "segmentation", maintain_order=True
        )
        for row in writer.write(segmentation, group, _names_of_others(group, overrides), kept)
    ]
    texts = pl.DataFrame(rows, schema=TEXT_SCHEMA, orient="row")
    if rows:
        named = texts.filter(pl.col("source") == "llm").height
        say(
            f"language model: {named} of {texts.height} segments named; segment_texts says why others are not"
        )
    return texts


class _Writer:
    """Asks for the texts of segment after segment, until the endpoint fails."""

    def __init__(
        self,
        model: CachedLanguageModel,
        evidence: pl.DataFrame,
        words: pl.DataFrame,
        banned: pl.DataFrame,
        as_of: datetime,
        wording: Wording,
    ) -> None:
        self._model, self._evidence, self._as_of, self._wording = model, evidence, as_of, wording
        self._vocabulary = Vocabulary.from_frame(words)
        self._banned_in_names, self._banned = banned_words(banned)
        self._failure: str | None = None

    def write(
        self, segmentation: str, group: pl.DataFrame, of_others: dict[str, set[str]], kept: dict[str, dict]
    ) -> list[dict[str, Any]]:
        """Return the rows of one segmentation, in the order of its segments."""
        segment_ids = frozenset(group["segment_id"])
        given: dict[str, str] = {}
        rows: dict[str, dict[str, Any]] = {}
        rules = {segment: self._rules(segment, segment_ids) for segment in sorted(segment_ids)}
        # Names that stay come first, so that new ones are told apart from all of them.
        for segment in sorted(segment_ids & kept.keys()):
            taken = of_others[segment] | set(given.values())
            if kept_name_fault(kept[segment]["name"], taken, rules[segment]) is None:
                rows[segment] = _still_true(kept[segment], rules[segment])
                given[segment] = rows[segment]["name"]
        for segment in sorted(segment_ids - rows.keys()):
            rows[segment] = self._ask(rules[segment], set(given.values()), of_others[segment])
            if rows[segment]["name"] is not None:
                given[segment] = rows[segment]["name"]
        own = {"segmentation": segmentation}
        return [own | {"segment_id": segment} | rows[segment] for segment in sorted(segment_ids)]

    def _rules(self, segment: str, segment_ids: frozenset[str]) -> Rules:
        rows = self._evidence.filter(pl.col("segment_id") == segment)
        found = read_evidence(rows, self._vocabulary, self._wording.min_users)
        return Rules(found, self._vocabulary, self._banned_in_names, self._banned, segment_ids)

    def _ask(self, rules: Rules, given: set[str], of_others: set[str]) -> dict[str, Any]:
        if not rules.evidence.labels:
            return _rejected(
                "Nothing that enough of its users share sets the segment apart, so no model was asked."
            )
        question = segment_question(rules.evidence, given, self._wording.language)
        asked = {"model": self._model.name, "prompt_hash": self._model.prompt_hash(question)}
        answer = self._answer(question)
        if isinstance(answer, str):
            return _rejected(answer) | asked
        name = clean(answer.content.get("name"))
        dated = asked | {"generated_on": answer.generated_on, "generated_as_of": self._as_of}
        fault = name_fault(name, given | of_others, rules)
        if fault:
            return _rejected(f"The name {fault}.") | dated
        return _checked(answer.content, rules) | {"name": name, "source": "llm"} | dated

    def _answer(self, question: Question) -> Answer | str:
        """Return the answer, or why there is none."""
        if self._failure:
            return self._failure
        try:
            return self._model.ask(question)
        except EndpointError as error:
            self._failure = _sentence(str(error))
            say(self._failure)
            return self._failure
        except LanguageModelError as error:
            return _sentence(str(error))


def _checked(content: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return what passes of an answer's description and interests, and why the rest does not."""
    faults = []
    description = clean(content.get("description"))
    fault = description_fault(description, rules)
    if fault:
        faults.append(f"The description {fault}.")
    entries = content.get("interests")
    texts: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else []:
        category, text = (
            (entry.get("category"), clean(entry.get("text"))) if isinstance(entry, dict) else (None, None)
        )
        interest = interest_fault(category, text, rules)
        if interest:
            faults.append(f"An interest {interest}.")
        else:
            texts.setdefault(category, text)
    return {
        "description": None if fault else description,
        "interests": _interest_json(texts, rules),
        "reason": " ".join(dict.fromkeys(faults)) or None,
    }


def _still_true(row: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return an earlier row with the texts that fit today's evidence."""
    texts = {entry["category"]: entry["text"] for entry in json.loads(row["interests"] or "[]")}
    interests = [{"category": category, "text": text} for category, text in texts.items()]
    known = [entry for entry in interests if entry["category"] in rules.evidence.interests]
    checked = _checked({"description": row["description"], "interests": known}, rules)
    if row["description"] is None:
        checked["reason"] = row["reason"]
    return row | checked


def _interest_json(texts: dict[str, str], rules: Rules) -> str | None:
    """Return the texts in the order of the interests, as JSON."""
    entries = [
        {"category": category, "text": texts[category]}
        for category in rules.evidence.interests
        if category in texts
    ]
    return json.dumps(entries, ensure_ascii=False) if entries else None


def _rejected(reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(name for name in TEXT_SCHEMA if name not in ("segmentation", "segment_id"))
    return nothing | {"source": "rejected", "reason": reason}


def _names_of_others(group: pl.DataFrame, overrides: pl.DataFrame) -> dict[str, set[str]]:
    """Return, per segment, the names that others of its segmentation have without a model."""
    names = dict(group.select("segment_id", "name").iter_rows())
    chosen = [entry for entry in overrides.select("segment_id", "name").iter_rows() if entry[0] in names]
    everybody = [*names.items(), *chosen]
    return {
        segment: {_UNASSIGNED, *(name for other, name in everybody if other != segment and name)}
        for segment in names
    }


def _kept_rows(previous: pl.DataFrame | None, as_of: datetime) -> dict[str, dict[str, Any]]:
    """Return earlier rows with a name by segment; none that were made behind the wall."""
    if previous is None or not TEXT_SCHEMA.keys() <= set(previous.columns):
        return {}
    named = previous.select(pl.col(name).cast(kind) for name, kind in TEXT_SCHEMA.items()).filter(
        (pl.col("source") == "llm") & pl.col("name").is_not_null() & (pl.col("generated_as_of") <= as_of)
    )
    rows: Iterable[dict[str, Any]] = named.sort("segment_id").iter_rows(named=True)
    return {
        row["segment_id"]: {
            key: value for key, value in row.items() if key not in ("segmentation", "segment_id")
        }
        for row in rows
    }


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."
