"""Answers are kept in the artefact store: the same question to the same model is asked once."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from manyfaces.language.client import LanguageModel, Question
from manyfaces.store import Artifact, ArtifactStore, fingerprint

KIND = "language"
VERSION = "language-1"


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    Attributes:
        content: The JSON object.
        prompt_hash: Names the question, the model and the schema; the same for the same three.
        generated_on: Day on which the model gave the answer, not on which it was read again.
    """

    content: dict[str, Any]
    prompt_hash: str
    generated_on: date


class CachedLanguageModel:
    """A language model that is not asked the same thing twice, so that builds repeat."""

    def __init__(self, model: LanguageModel, store: ArtifactStore) -> None:
        """Keep the answers of `model` in `store`, each with the question beside it, for people to read."""
        self._model = model
        self._store = store

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.endpoint.model

    def prompt_hash(self, question: Question) -> str:
        """Return 16 hex digits of everything that decides what the answer may be."""
        return fingerprint(VERSION, self.name, question.task, question.material, question.schema)

    def ask(self, question: Question) -> Answer:
        """Return the kept answer, or the model's, which is then kept. Failures are not.

        Raises:
            LanguageModelError: As `LanguageModel.ask`.
        """

        def compute() -> Artifact:
            answer = self._model.ask(question)
            return Artifact(
                meta={
                    "algorithm": "language_model",
                    "parameters": {"model": self.name, "version": VERSION},
                    "task": question.task,
                    "material": question.material,
                    "answer": answer,
                    "generated_on": date.today().isoformat(),
                }
            )

        prompt_hash = self.prompt_hash(question)
        meta = self._store.fit(KIND, prompt_hash, compute).meta
        return Answer(meta["answer"], prompt_hash, date.fromisoformat(meta["generated_on"]))
