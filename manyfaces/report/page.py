"""Puts the report together as one HTML file that fetches nothing."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from altair.utils.schemapi import debug_mode
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from manyfaces import __version__
from manyfaces.report import charts, parts
from manyfaces.report.wording import Wording

_TEMPLATES = Path(__file__).with_name("templates")


def render(report: parts.Report, database: str) -> str:
    """Return the whole page.

    Args:
        report: the open marts and the words.
        database: name of the published file, for the reader.
    """
    words = report.words
    # Tests hold the charts against the schema; holding every one against it here would cost most of the time.
    with debug_mode(False):
        sections = {name: report.read_part(build) for name, build in parts.PARTS}
    scripts = [charts.script(), (_TEMPLATES / "page.js").read_text(encoding="utf-8")]
    specifications = {chart.name: chart.specification for chart in report.charts}
    return (
        _environment(words.language)
        .get_template("page.html")
        .render(
            words=words,
            t=words,
            font=Markup(charts.FONT),
            style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
            scripts=[Markup(script) for script in scripts],
            policy=_policy(scripts),
            data=_embedded({"charts": specifications, "rows": report.shared_rows}),
            report=report,
            build=report.build,
            data_language=_data_language(report, words),
            default=report.segmentations[0] if report.segmentations else None,
            overview=report.read_part(parts.overview),
            parts=sections,
            part_names=[name for name, _ in parts.PARTS],
            database=database,
            version=__version__,
        )
    )


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters(Wording(language))
    return environment


def _filters(words: Wording) -> dict[str, Callable]:
    return {
        "number": words.number,
        "figure": words.figure,
        "percent": words.percent,
        "times": words.times,
        "signed": words.signed,
        "metric": words.metric,
        "day": words.day,
        "short_day": words.short_day,
        "marked": _marked,
    }


def _marked(text: str) -> Markup:
    """Escape a text of ours and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _embedded(value: object) -> Markup:
    """Return JSON that no text in it can break out of a script element with."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _finite(value: object) -> object:
    """Replace what JSON has no figure for by null."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _policy(scripts: list[str]) -> str:
    """Forbid all but the scripts of this very page, so that nothing is fetched and nothing else runs."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _data_language(report: parts.Report, words: Wording) -> str | None:
    """Return the language of the texts in the marts where it is another than that of the page."""
    language = str(report.build.get("language") or "en")
    return None if language == words.language else language
