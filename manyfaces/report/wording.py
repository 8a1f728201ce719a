"""The words of the report: a YAML file for each language, with the same keys, and figures written its way."""

import math
import re
import string
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path

import yaml
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal

FOLDER = Path(__file__).with_name("texts")
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))
# Stands for a figure that there is not.
NOTHING = "\u2013"
_TRUE_MINUS = str.maketrans("-", "\u2212")


@cache
def _load(language: str) -> Mapping[str, str | dict[str, str]]:
    texts: dict[str, str | dict[str, str]] = {}

    def flatten(branch: Mapping, path: str) -> None:
        for key, value in branch.items():
            name = f"{path}.{key}" if path else str(key)
            if isinstance(value, Mapping) and "other" not in value:
                flatten(value, name)
            else:
                texts[name] = value

    flatten(yaml.safe_load((FOLDER / f"{language}.yml").read_text(encoding="utf-8")), "")
    return texts


class Wording(string.Formatter):
    """Texts of one language by key, with placeholders that say how their value is written: `{users:number}`.

    A text that changes with a number is a mapping of CLDR plural forms (one, other), chosen by `count`.
    """

    NOTHING = NOTHING

    def __init__(self, language: str) -> None:
        """Load a language.

        Args:
            language: one of LANGUAGES.
        """
        self.language = language
        self.locale = Locale.parse({"zh": "zh_Hans"}.get(language, language))
        self.tag = {"zh": "zh-Hans"}.get(language, language)
        self._texts = _load(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of a key with its placeholders filled in."""
        text = self._texts[key]
        if isinstance(text, Mapping):
            count = values["count"]
            text = text.get(self.locale.plural_form(count), text["other"])
        return self.vformat(text, (), values).strip()

    def term(self, group: str, name: str | None) -> str:
        """Return what a technical name is called, or the name itself where there is no word for it."""
        if name is None:
            return NOTHING
        known = self._texts.get(f"terms.{group}.{name}")
        return str(known) if known is not None else name.replace("_", " ")

    def strategy(self, name: str) -> str:
        """Return what a strategy of the backtest is called: a blend, or a source alone."""
        key = f"terms.strategies.{name}"
        return str(self._texts[key]) if key in self._texts else self.term("sources", name)

    def interval(self, low: float | None, high: float | None, signed: bool = False) -> str:
        """Write an interval: 0.3630 to 0.3848."""
        if low is None or high is None:
            return NOTHING
        write = self.signed if signed else self.metric
        return self("figures.interval", low=write(low), high=write(high))

    def feature(self, name: str) -> str:
        """Return what a column of user_features is called, whatever its window."""
        if window := re.fullmatch(r"(events|active_days|amount)_(\d+)_days", name):
            return self(f"terms.features.{window[1]}_in_window", days=window[2])
        if hours := re.fullmatch(r"hour_(\d\d)_(\d\d)_share", name):
            return self("terms.features.hour_share", first=int(hours[1]), last=int(hours[2]) + 1)
        return self.term("features", name)

    def feature_value(self, name: str, value: float | None) -> str:
        """Write a value of a feature in its unit."""
        if name == "price_level" and value is not None:
            # Stored as the logarithm of the ratio to what is usual.
            return self("figures.times", value=self.number(math.exp(value), 2))
        return self.percent(value) if name.endswith("_share") else self.figure(value)

    def format_field(self, value: object, format_spec: str) -> str:
        """Write a value in the way that its placeholder asks for."""
        write = getattr(self, format_spec, None) if format_spec else None
        return write(value) if write else super().format_field(value, format_spec)

    def number(self, value: float | None, digits: int = 0) -> str:
        """1234.5 -> 1,234 or, with digits, 1,234.50."""
        if value is None:
            return NOTHING
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        # What rounds to zero has no sign.
        value = 0 if round(value, digits) == 0 else value
        return format_decimal(value, format=pattern, locale=self.locale).translate(_TRUE_MINUS)

    def figure(self, value: float | None) -> str:
        """Write about three significant digits: 1,861, 90.9, 0.197."""
        if value is None:
            return NOTHING
        size = abs(value)
        return self.number(value, 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2)

    def percent(self, value: float | None, digits: int = 1) -> str:
        """0.1895 -> 19.0 %, and what is there but rounds to nothing -> < 0.1 %."""
        if value is None:
            return NOTHING
        smallest = 10.0**-digits
        if 0 < 100 * value < smallest / 2:
            return "<\u00a0" + self("figures.percent", value=self.number(smallest, digits))
        return self("figures.percent", value=self.number(100 * value, digits))

    def times(self, value: float | None) -> str:
        """2.81 -> 2.8 times, as a sign."""
        return NOTHING if value is None else self("figures.times", value=self.number(value, 1))

    def signed(self, value: float | None, digits: int = 4) -> str:
        """0.0102 -> +0.0102."""
        if value is None:
            return NOTHING
        return ("+" if round(value, digits) > 0 else "") + self.number(value, digits)

    def metric(self, value: float | None) -> str:
        """Write a metric between 0 and 1 with the digits that intervals need."""
        return self.number(value, 4)

    def day(self, value: date | datetime | None) -> str:
        """Write a day: 1 January 2018, 2018年1月1日."""
        if value is None:
            return NOTHING
        return format_date(value, format="d MMMM y" if self.language == "en" else "long", locale=self.locale)

    def short_day(self, value: date | datetime | None) -> str:
        """Write a day where there is little room: 2018-01-01."""
        return NOTHING if value is None else f"{value:%Y-%m-%d}"

    def moment(self, value: datetime | None) -> str:
        """Write a day with its time, UTC."""
        return (
            NOTHING
            if value is None
            else self("figures.moment", day=self.day(value), time=f"{value:%H:%M} UTC")
        )

    def language_name(self, tag: str) -> str:
        """Return what a language is called: en -> English."""
        try:
            return Locale.parse(tag).get_display_name(self.locale) or tag
        except (ValueError, UnknownLocaleError):
            return tag

    def sentences(self, *parts: str) -> str:
        """Join sentences, those that are empty left out."""
        return self._texts["figures.between_sentences"].join(filter(None, parts))
