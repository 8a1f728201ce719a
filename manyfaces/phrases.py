"""Phrases of the seed phrases.csv in the language of the build."""

import polars as pl


class Phrases:
    """What the project writes into tables, by name, with {placeholders}."""

    def __init__(self, rows: pl.DataFrame, language: str) -> None:
        """Take the seed.

        Args:
            rows: phrase and a column for each language.
            language: the column to use.
        """
        self.language = language
        self._texts = dict(rows.select("phrase", language).iter_rows())

    def text(self, name: str, **values: str) -> str:
        """Return a phrase with its placeholders filled.

        Raises:
            KeyError: the seed has no such phrase.
        """
        text = self._texts[name]
        for placeholder, value in values.items():
            text = text.replace(f"{{{placeholder}}}", value)
        return text

    def part(self, name: str) -> dict[str, str]:
        """Return the phrases whose name starts so."""
        return {key: text for key, text in sorted(self._texts.items()) if key.startswith(name)}
