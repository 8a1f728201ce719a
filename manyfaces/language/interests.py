"""Sorts texts about interests into declared labels."""

from collections.abc import Sequence

from manyfaces.language.cache import CachedLanguageModel
from manyfaces.language.client import AnswerError
from manyfaces.language.prompts import NO_LABEL, classification_question


def classify_interest(model: CachedLanguageModel, text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a text about an interest belongs to, None if none fits.

    Args:
        model: Whom to ask.
        text: The text about an interest of a segment, such as `write_segment_texts` makes. Never what one
            user wrote: it is sent as it is.
        labels: The labels to choose from, each once.

    Raises:
        ValueError: If there are no labels, or one of them means that none fits.
        AnswerError: If the model answers with something else than one of them.
        EndpointError: If the model cannot be asked.
    """
    if not labels or NO_LABEL in labels:
        raise ValueError(f"An interest is sorted into labels that are declared, other than {NO_LABEL!r}.")
    label = model.ask(classification_question(text, labels)).content["label"]
    if label == NO_LABEL:
        return None
    if label not in labels:
        raise AnswerError("The language model chose a label that was not among those to choose from.")
    return label
