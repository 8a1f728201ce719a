import base64
import hashlib
import itertools
import json
import re
import string
import sys
from html.parser import HTMLParser

import altair as alt
import duckdb
import numpy as np
import polars as pl
import pytest
from report_marts import HOSTILE, NAMES, change, contracts, large_marts, some_rows, write_marts

from manyfaces.cli import main
from manyfaces.errors import UserError
from manyfaces.report import queries, write_report
from manyfaces.report.flow import flow_shapes
from manyfaces.report.parts import PARTS, Report
from manyfaces.report.queries import Marts
from manyfaces.report.wording import FOLDER, LANGUAGES, Wording, _load

LARGEST = 5_000_000
READ = sorted(some_rows())


class Page(HTMLParser):
    """What a browser makes of the source: text by the id of its part, elements, and what they point to."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.elements, self.scripts, self.open_parts = [], [], []
        self.texts = {}
        self.in_script = False
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag == "section":
            self.open_parts.append(attributes.get("id", "overview"))
        if tag in ("script", "style"):
            self.in_script = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        if tag == "section":
            self.open_parts.pop()
        if tag in ("script", "style"):
            self.in_script = False

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1] += data
        elif self.open_parts:
            part = self.open_parts[-1]
            self.texts[part] = f"{self.texts.get(part, '')} {data.strip()}"

    def part(self, name):
        return re.sub(r"[ \n\t]+", " ", self.texts[name]).strip(" ")

    @property
    def drawn_from(self):
        return json.loads(re.search(r'id="drawn-from">(.*?)</script>', self.source, re.DOTALL)[1])


def report(tmp_path, rows=None, language="en", without=(), *statements):
    database = write_marts(tmp_path / "serving.duckdb", rows, without)
    change(database, *statements)
    target = tmp_path / f"report_{language}.html"
    write_report(database, target, language)
    return Page(target.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return report(tmp_path_factory.mktemp("full"), some_rows())


def test_the_key_figures_come_first(full):
    overview = full.part("overview")
    assert "60 users in 3 segments" in overview
    assert "Nothing at or after 1 January 2026, 00:00 UTC was seen." in overview
    assert "largest segment 50.0\u00a0%" in overview
    assert "clean events 1,190 99.2\u00a0% of 1,200 raw rows" in overview
    assert "of recommendations are personal 67\u00a0%" in overview
    assert "of users took something from their list 75\u00a0%" in overview
    assert "popular items alone: 50.0\u00a0%" in overview


def test_a_segment_has_its_description_rules_profile_categories_and_items(full):
    segments = full.part("segments")
    assert "30 users, 50.0\u00a0%" in segments
    assert "30 users. They favour Milk & 早餐与鲜奶." in segments
    assert "80.0\u00a0% of the users who match are in this segment (2.5\u00a0\u00d7 chance), and" in segments
    assert "Events in the last 28 days 12.5 8.25 +0.9" in segments
    assert "Events on Mondays 20.0\u00a0% 14.0\u00a0% \u22120.5" in segments
    assert "Prices beside what is usual in the category 0.90\u00a0\u00d7 1.00\u00a0\u00d7" in segments
    assert "x own feature 1 2 +0.2" in segments, "a feature that has no word"
    assert f"Milk {HOSTILE} 20.0\u00a0% 10.0\u00a0% 2.0\u00a0\u00d7" in segments
    assert "鲜牛奶 1 升 30\u00a0% 3.2\u00a0\u00d7" in segments


def test_of_windows_hours_and_weekdays_the_one_that_differs_most_stands_for_all(full):
    segments = full.part("segments")
    assert "Events in the last 90 days" not in segments
    assert "Events from 8 to 12 h UTC" not in segments


def test_items_of_one_title_are_shown_once(full):
    assert full.part("segments").count("鲜牛奶 1 升") == len(NAMES)


def test_users_that_fit_no_segment_are_counted_but_have_no_card(full):
    assert "5 users (8.3\u00a0%) fit no segment." in full.part("segments")
    assert [
        attributes["id"] for tag, attributes in full.elements if tag == "article" and "id" in attributes
    ] == ["segment-s0-1", "segment-s0-2", "segment-s0-3", "segment-s1-1", "segment-s1-2"]


def test_segments_go_by_the_number_of_their_id_or_else_by_their_place(tmp_path):
    rows = some_rows()
    for segment, users in zip(rows["segments"], (5, 20, 35), strict=False):
        segment["users"] = users
    with_connection(write_marts(tmp_path / "serving.duckdb", rows), lambda marts: check_numbers(marts))


def check_numbers(marts):
    shown = queries.segments(marts, ["taste", "rfm"])
    found = {
        row["segment_id"]: (row["place"], row["number"], row["colour"]) for row in shown.iter_rows(named=True)
    }
    assert found["taste-03"] == (1, 3, 1)
    assert found["taste-01"] == (3, 1, 3)
    assert found["rfm-lost"] == (2, 2, 2)
    assert found["rfm-unassigned"] == (3, 0, 0)


def with_connection(database, use):
    with duckdb.connect(database, read_only=True) as connection:
        return use(Marts(connection))


def test_who_stayed_and_who_moved_between_the_newest_walls(full):
    changes = full.part("changes")
    # Of 30 + 20 + 9 users who were there at both walls, 4 moved; the numbers of the rows say who.
    assert "Between 4 December 2025 and 1 January 2026, 93.2\u00a0% of the users" in changes
    assert "taste-09 is new" in changes, "a segment that is no longer among the segments goes by its id"


def test_with_one_wall_nobody_can_have_moved(tmp_path):
    page = report(tmp_path, some_rows(walls=1))
    assert "This build knows one wall in time" in page.part("changes")
    assert "make history" in page.part("changes")


def test_lists_stand_beside_interests_and_say_why(full):
    recommendations = full.part("recommendations")
    assert "The user's own history 66.7\u00a0%" in recommendations
    assert "In the middle of the largest segment" in recommendations
    assert "With hardly any history" in recommendations
    assert f"Interest {HOSTILE} 100\u00a0%" in recommendations
    assert f"Item 8 {HOSTILE} In this user's history" in recommendations
    assert "Item 9" not in recommendations


def test_users_without_consent_are_no_examples(tmp_path):
    rows = some_rows()
    for user in rows["user_profiles"]:
        user["has_consent"] = user["user_key"].endswith("3b")
    users = with_connection(
        write_marts(tmp_path / "serving.duckdb", rows),
        lambda marts: queries.example_users(marts, queries.segments(marts, ["taste"])),
    )
    assert users["user_key"].unique().to_list() == [f"{59:032x}"]


def test_the_backtest_says_better_only_when_the_interval_does(full):
    quality = full.part("quality")
    assert "For you: what is served has an NDCG of 0.3000, +0.1000 over what is popular" in quality
    assert "(95 % interval +0.0800 to +0.1200): better than popularity." in quality
    assert "(95 % interval \u22120.0100 to +0.0300): no difference was shown." in quality
    assert "Of 4 comparisons, 2 showed a gain and 0 a loss." in quality
    assert "taste 0.3000 +0.0020 +0.0010 to +0.0030 Gain" in quality
    assert "No segments 0.3000 \u2013 \u2013 Baseline" in quality
    assert "taste 2.0\u00a0% \u2013" in quality, "what could not be explained has no figure"


def test_without_a_backtest_it_says_how_to_make_one(tmp_path):
    page = report(tmp_path, some_rows(judged=False))
    assert "The lists have not been judged yet. make backtest" in page.part("quality")
    assert "What segmentations add is not judged yet; make backtest" in page.part("quality")
    assert "not judged yet" in page.part("overview")


def test_raw_rows_are_accounted_for_or_the_failing_check_is_named(full, tmp_path):
    assert "1,200 raw rows: 1,190 clean and 10 rejected. Every raw row is accounted for." in full.part("data")
    assert "Rejected A bot's day 10 0.83\u00a0%" in full.part("data")
    failing = "update marts.data_quality set is_ok = false where line = 'balance'"
    page = report(tmp_path, some_rows(), "en", (), failing)
    assert "Checks that fail: raw_is_clean_plus_rejected." in page.part("data")
    assert "accounted for" not in page.part("data")


def test_models_say_why_what_it_cost_and_what_was_decided(full):
    models = full.part("models")
    assert "Why 3 segments?" in models
    assert "User vectors (autoencoder) an algorithm 60 1.5" in models
    assert "2 fits took 4 seconds together" in models
    assert "2026-01-01 Kept Why not." in models


def test_empty_marts_give_a_page_that_says_so(tmp_path):
    page = report(tmp_path)
    assert "No users yet" in page.part("overview")
    for part, sentence in {
        "segments": "There are no users with events",
        "changes": "There are no users with events",
        "recommendations": "No user has a list.",
        "quality": "The lists have not been judged yet.",
        "data": "There are no raw rows: the input is empty.",
        "models": "No model was fitted.",
    }.items():
        assert sentence in page.part(part)
    assert page.drawn_from == {"charts": {}, "rows": {}}


def test_one_user_is_enough(tmp_path):
    rows = some_rows()
    (key,) = {user["user_key"] for user in rows["user_profiles"][:1]}
    rows = {mart: [row for row in given if row.get("user_key", key) == key] for mart, given in rows.items()}
    rows["segments"] = [rows["segments"][0] | {"users": 1, "share": 1.0}]
    page = report(tmp_path, rows)
    assert "One user in one segment" in page.part("overview")
    assert "one user, 100.0\u00a0%" in page.part("segments")


@pytest.mark.parametrize(
    ("mart", "part"),
    [
        ("segments", "segments"),
        ("segment_drift", "changes"),
        ("user_recommendations", "recommendations"),
        ("recommendation_quality", "quality"),
        ("data_quality", "data"),
    ],
)
def test_a_mart_that_is_missing_is_named(tmp_path, mart, part):
    page = report(tmp_path, some_rows(), "en", (mart,))
    sentence = f"This part needs the table marts.{mart}, which is not in the published file."
    assert sentence in page.part(part)
    assert sentence not in page.part("models")
    assert "2 fits took" in page.part("models")


@pytest.mark.parametrize("mart", READ)
def test_a_mart_with_other_columns_is_named_and_breaks_nothing_else(tmp_path, mart):
    broken = (f"drop table marts.{mart}", f"create table marts.{mart} as select 1 as nothing_known")
    page = report(tmp_path, some_rows(), "en", (), *broken)
    spoilt = [part for part in page.texts if "could not be read from the published file" in page.part(part)]
    assert 1 <= len(spoilt) <= 4
    assert len(page.texts) == len(PARTS) + 2
    if mart != "data_quality":
        assert "Every raw row is accounted for." in page.part("data")


def test_nothing_from_the_data_can_run(full):
    """The texts of the data are hostile: had one got out of its place, there would be more elements."""
    assert [tag for tag, _ in full.elements].count("script") == 3
    assert not [tag for tag, _ in full.elements if tag == "img"]
    assert not [
        attributes for _, attributes in full.elements if any(name.startswith("on") for name in attributes)
    ]
    assert HOSTILE in full.part("segments"), "it is shown as it is"


def test_only_the_scripts_of_the_page_may_run_and_nothing_may_be_fetched(full):
    (policy,) = [
        attributes["content"]
        for tag, attributes in full.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules, "default-src holds"
    scripts = [script for script in full.scripts[1:] if not script.startswith("{")]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    pointing = [
        attributes[name]
        for _, attributes in full.elements
        for name in ("src", "href", "action", "srcset", "data", "poster")
        if name in attributes
    ]
    assert pointing
    assert [address for address in pointing if not address.startswith("#")] == []


def test_every_link_leads_to_a_place_in_the_page_and_every_label_to_a_text(full):
    identifiers = [attributes["id"] for _, attributes in full.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    named = [
        name.lstrip("#")
        for _, attributes in full.elements
        for name in (attributes.get("href", ""), *attributes.get("aria-labelledby", "").split())
        if name
    ]
    assert set(named) <= set(identifiers)


def test_headings_leave_out_no_level(full):
    levels = [int(tag[1]) for tag, _ in full.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [pair for pair in itertools.pairwise(levels) if pair[1] > pair[0] + 1] == []


def test_every_place_of_a_chart_has_a_chart_and_words_for_it(full):
    places = {
        attributes["data-chart"]: attributes["data-description"]
        for _, attributes in full.elements
        if "data-chart" in attributes
    }
    assert places.keys() == full.drawn_from["charts"].keys()
    assert {name.split("-")[0] for name in places} == {
        "map",
        "flow",
        "share",
        "quality",
        "uplift",
        "training",
    }
    assert all(len(description) > 20 for description in places.values())


def test_charts_are_valid(tmp_path):
    with duckdb.connect(write_marts(tmp_path / "serving.duckdb", some_rows()), read_only=True) as connection:
        made = Report(Marts(connection), Wording("en"))
        for _, build in PARTS:
            made.read_part(build)
    assert len(made.charts) > 10
    for chart in made.charts:
        alt.Chart.from_dict(chart.specification, validate=True)


def test_colours_of_charts_are_those_of_the_page(full):
    style = full.scripts[0]
    used = set(re.findall(r"var\(--([\w-]+)\)", json.dumps(full.drawn_from) + style))
    stated = set(re.findall(r"--([\w-]+):", style)) | {"tone", "size", "from", "colour"}
    assert used <= stated


def test_two_reports_of_one_file_are_equal(tmp_path, full):
    assert report(tmp_path, some_rows()).source == full.source


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_part(tmp_path, language):
    page = report(tmp_path, some_rows(), language)
    words = Wording(language)
    assert next(attributes["lang"] for tag, attributes in page.elements if tag == "html") == words.tag
    for part, _ in PARTS:
        assert page.part(part).startswith(words(f"parts.{part}"))


def test_in_chinese_figures_and_days_are_written_the_chinese_way(tmp_path):
    page = report(tmp_path, some_rows(), "zh")
    assert "60 位用户\uff0c3 个群体" in page.part("overview")
    assert "2026年1月1日 00:00 UTC 及之后的事件均未使用。用户以化名出现" in page.part("overview")
    assert "群体名称、描述和推荐理由使用构建时的语言\uff08英语\uff09" in page.part("overview")
    assert "最近 28 天的事件数 12.5 8.25 +0.9" in page.part("segments")
    assert "50.0%" in page.part("segments")


def test_by_default_the_page_is_in_the_language_of_the_build(tmp_path):
    database = write_marts(tmp_path / "serving.duckdb", some_rows(), without=("build_info",))
    written = write_report(database, tmp_path / "report.html")
    assert '<html lang="en">' in written.path.read_text()
    change(
        database,
        "create table marts.build_info as select 'run-7' as run_id, 'abc123' as git_revision, "
        "timestamp '2026-01-02 03:04:05' as built_at, timestamp '2026-01-01' as as_of, 'zh' as language, "
        "'incomplete' as state",
    )
    page = Page(write_report(database, tmp_path / "report.html").path.read_text())
    assert '<html lang="zh-Hans">' in page.source
    assert "构建于 2026年1月2日 03:04 UTC。上一次运行没有完整结束" in page.part("overview")
    assert "run-7" in page.source
    assert "abc123" in page.source
    assert "使用构建时的语言" not in page.part("overview")


def test_all_languages_have_the_same_texts_with_the_same_placeholders():
    def placeholders(text):
        forms = text.values() if isinstance(text, dict) else [text]
        return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name} - {
            "count"
        }

    english, *others = [_load(language) for language in ("en", *(set(LANGUAGES) - {"en"}))]
    assert others
    for texts in others:
        assert texts.keys() == english.keys()
        assert {key for key in texts if placeholders(texts[key]) != placeholders(english[key])} == set()


def test_no_text_is_there_for_nothing():
    folder = FOLDER.parent
    sources = [*folder.glob("*.py"), *folder.glob("templates/*")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    keys = {key for key in _load("en") if not key.startswith("terms.") and key != "language"}
    by_name = {key for key in keys if re.search(rf"[\"']{re.escape(key)}[\"']", source)}
    # Put together from a part and the name of a kind, a word or a measure.
    by_prefix = {
        key
        for key in keys - by_name
        if re.fullmatch(r"parts\.\w+|words\.\w+|recommendations\.kind_\w+|quality\.(better|worse|same)", key)
        or re.fullmatch(r"models\.(train|validation)_loss|figures\.\w+", key)
    }
    assert keys - by_name - by_prefix == set()


def test_terms_cover_what_the_project_can_say(manifest):
    """Names that the project itself makes have a word in every language; those of users' own need none."""
    accepted = {
        "sources": accepted_values(manifest, "user_recommendations", "source"),
        "lists": accepted_values(manifest, "user_recommendations", "list"),
        "levels": accepted_values(manifest, "user_recommendations", "fallback_level"),
        "events": accepted_values(manifest, "segment_lineage", "event"),
        "outcomes": accepted_values(manifest, "segmentation_prediction", "outcome"),
    }
    for language in LANGUAGES:
        texts = _load(language)
        for group, values in accepted.items():
            assert values
            assert {value for value in values if f"terms.{group}.{value}" not in texts} == set()


def accepted_values(manifest, model, column):
    return {
        str(value)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("test_metadata", {}).get("name") == "accepted_values"
        and node["attached_node"].endswith(f".{model}")
        and node["column_name"] == column
        for value in node["test_metadata"]["kwargs"]["values"]
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda words: words.number(1234567), "1,234,567"),
        (lambda words: words.number(-0.4), "0"),
        (lambda words: words.number(-1234.56, 1), "\u22121,234.6"),
        (lambda words: words.number(None), "\u2013"),
        (lambda words: words.percent(0.1895), "19.0\u00a0%"),
        (lambda words: words.percent(0.0001), "<\u00a00.1\u00a0%"),
        (lambda words: words.percent(0.0), "0.0\u00a0%"),
        (lambda words: words.percent(-0.004), "\u22120.4\u00a0%"),
        (lambda words: words.signed(0.00001), "0.0000"),
        (lambda words: words.signed(-0.5, 1), "\u22120.5"),
        (lambda words: words.times(2.84), "2.8\u00a0\u00d7"),
        (lambda words: words.figure(90.91), "90.9"),
        (lambda words: words.figure(1861.18), "1,861"),
        (lambda words: words.interval(0.1, 0.2), "0.1000 to 0.2000"),
        (lambda words: words.interval(None, 0.2), "\u2013"),
        (lambda words: words.feature("active_days_7_days"), "Active days in the last 7"),
        (lambda words: words.feature("hour_20_23_share"), "Events from 20 to 24 h UTC"),
        (lambda words: words.term("sources", "my_own_source"), "my own source"),
        (lambda words: words("overview.headline", count=1, segments=2), "One user in 2 segments"),
    ],
)
def test_figures_are_written_for_people(written, expected):
    assert written(Wording("en")) == expected


def test_a_report_stays_small_whatever_the_marts_hold(tmp_path):
    written = write_report(large_marts(tmp_path / "serving.duckdb"), tmp_path / "report.html", "zh")
    assert written.bytes == written.path.stat().st_size
    assert written.bytes < LARGEST
    page = Page(written.path.read_text(encoding="utf-8"))
    for part, _ in PARTS:
        assert "could not be read" not in page.part(part)
    assert len(page.drawn_from["rows"]["map"]) == queries.MAP_USERS
    assert "共 200,000 位用户\uff0c图中显示 3,000 位" in page.part("segments")
    assert "这里是 80 个群体中最大的 12 个" in page.part("segments")
    assert "另有 50 个较小的群体" in page.part("segments")


def linear(colour):
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    """WCAG 2: the ratio of the luminances."""
    light, dark = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))[::-1]
    return (light + 0.05) / (dark + 0.05)


# Machado, Oliveira and Fernandes 2009, of full severity, in linear RGB.
VISION = {
    "all colours": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def oklab(rgb):
    """Ottosson 2020: a space in which distances are those that people see."""
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ cones
    )


def palettes(style):
    """Every block of colours in the style sheet: light, dark by choice, dark by the system, paper."""
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r"\{([^{}]*--ground: [^{}]*)\}", style)
    ]
    assert len(blocks) == 4
    assert blocks[1] == blocks[2], "dark is dark, however it is chosen"
    return blocks


def test_texts_and_marks_stand_out_from_their_ground(full):
    for colours in palettes(full.scripts[0]):
        for ground in ("ground", "surface", "raised"):
            for text in ("text", "muted", "accent", "good", "bad"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground, colours)
        for ground in ("ground", "surface"):
            for number in range(9):
                assert contrast(colours[f"segment-{number}"], colours[ground]) >= 3, (number, ground, colours)


@pytest.mark.parametrize("vision", VISION)
def test_segments_are_apart_for_every_kind_of_colour_vision(full, vision):
    """0.02 is what people just see side by side."""
    for colours in palettes(full.scripts[0]):
        seen = [
            oklab(np.array(VISION[vision]) @ linear(colours[f"segment-{number}"])) for number in range(1, 9)
        ]
        nearest = min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2))
        assert nearest > 0.08


def test_what_a_reader_can_mend_is_said_in_a_sentence(tmp_path, monkeypatch):
    database = write_marts(tmp_path / "serving.duckdb")
    with pytest.raises(UserError, match=r"there is no missing\.duckdb: run `manyfaces build`"):
        write_report(tmp_path / "missing.duckdb", tmp_path / "report.html")
    with pytest.raises(UserError, match="is a folder: name a file with --to"):
        write_report(database, tmp_path)
    with pytest.raises(UserError, match=r"no folder .*nowhere for the report"):
        write_report(database, tmp_path / "nowhere" / "report.html")
    with pytest.raises(UserError, match="no report in 'fr': --language is one of en, zh"):
        write_report(database, tmp_path / "report.html", "fr")
    other = change(tmp_path / "other.duckdb", "create table users (user_id text)")
    with pytest.raises(UserError, match=r"other\.duckdb holds no marts: run `manyfaces publish`"):
        write_report(other, tmp_path / "report.html")
    text = tmp_path / "text.duckdb"
    text.write_text("no database")
    with pytest.raises(UserError, match=r"text\.duckdb is not a DuckDB database"):
        write_report(text, tmp_path / "report.html")
    monkeypatch.setitem(sys.modules, "altair", None)
    for name in [name for name in sys.modules if name.startswith("manyfaces.report.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"the report needs the package altair: .*manyfaces\[report\]"):
        write_report(database, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    database = write_marts(tmp_path / "serving.duckdb")
    target = tmp_path / "report.html"
    write_report(database, target)
    before = target.read_text()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UserError, match=r"report\.html could not be written: No space left on device"):
        write_report(database, target)
    assert target.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "serving.duckdb"]


def test_the_command_writes_beside_the_published_file_and_says_what_it_wrote(tmp_path, monkeypatch, capsys):
    write_marts(tmp_path / "serving.duckdb", some_rows())
    monkeypatch.setenv("MANYFACES_DATABASE", str(tmp_path / "warehouse.duckdb"))
    assert main(["report", "--language", "zh"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/report\.html: \d\.\d MB in \d+\.\d s, open it in a browser\n", said
    )
    assert '<html lang="zh-Hans">' in (tmp_path / "report.html").read_text()
    assert main(["report", "--database", str(tmp_path / "nothing.duckdb")]) == 2
    assert "manyfaces: there is no nothing.duckdb" in capsys.readouterr().err


def test_a_browser_that_is_not_installed_is_said_in_a_sentence(tmp_path, monkeypatch, capsys):
    from manyfaces.report import pictures

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        sys, "argv", ["pictures", "--database", str(tmp_path / "serving.duckdb"), "--to", str(tmp_path)]
    )
    assert pictures.main() == 2
    assert "manyfaces: Chromium and its driver are not installed: install them" in capsys.readouterr().err


def test_the_report_reads_only_marts_and_every_mart_that_it_reads_has_rows_here():
    """Else these tests would show that a part is empty, and nothing more."""
    folder = FOLDER.parent
    read = set(re.findall(r"\bmarts\.(\w+)", "\n".join(path.read_text() for path in folder.glob("*.py"))))
    assert read & set(contracts()) - {"build_info"} == set(READ)


def test_bands_leave_and_reach_their_blocks_side_by_side(tmp_path):
    def shapes(marts):
        shown = queries.segments(marts, ["taste"])
        words = {"new": "new", "gone": "gone"}
        return flow_shapes(queries.flows(marts, ["taste"]), shown, words)

    bands, blocks, names = with_connection(write_marts(tmp_path / "serving.duckdb", some_rows()), shapes)
    assert names["(gone)"] == "gone"
    assert names["taste-09"] == "taste-09"
    for side, segment, shift in (("start", "from", 0), ("end", "to", 1)):
        for (column, name), own in bands.group_by("column", segment):
            block = blocks.row(
                by_predicate=(pl.col("middle") == column + shift) & (pl.col("segment") == name), named=True
            )
            spans = sorted((row[side], row[side] + row["users"]) for row in own.iter_rows(named=True))
            assert spans[0][0] == pytest.approx(block["top"], abs=0.1)
            assert spans[-1][1] <= block["bottom"] + 0.1
            assert all(one[1] == pytest.approx(other[0], abs=0.2) for one, other in itertools.pairwise(spans))


def test_rings_of_segments_in_one_place_do_not_cover_each_other(tmp_path):
    rows = some_rows()
    number = len(rows["segments"])
    assert number > 3
    for centre in rows["segment_map"]:
        centre["x"], centre["y"] = 0.5, 0.5
    page = report(tmp_path, rows)
    drawn = page.drawn_from["charts"]["map-s0"]
    (rings,) = [
        values
        for values in drawn["datasets"].values()
        if values and {"label_x", "label_y"} <= values[0].keys()
    ]
    # The map is 0 to 1 both ways, 560 pixels wide and 460 high; a ring is 26 wide.
    places = [(560 * ring["label_x"], 460 * ring["label_y"]) for ring in rings]
    assert len(places) == len(NAMES)
    assert min(np.hypot(x - u, y - v) for (x, y), (u, v) in itertools.combinations(places, 2)) > 27
    assert all(abs(x - 280) < 60 and abs(y - 230) < 60 for x, y in places), "they stay near their place"


def test_what_is_no_more_than_usual_is_not_called_typical(tmp_path):
    rows = some_rows()
    for row in rows["segment_top_categories"] + rows["segment_top_items"]:
        row["lift"] = 1.04
    segments = report(tmp_path, rows).part("segments")
    assert segments.count("No category stands out.") == segments.count("No item stands out.") == 5
