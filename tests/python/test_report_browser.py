"""The report in headless Chromium, as its readers see it; skipped where no Chromium is installed."""

import re

import pytest
from report_marts import HOSTILE, large_marts, some_rows, write_marts

from manyfaces.errors import UserError
from manyfaces.report import write_report
from manyfaces.report.browser import Browser, installed

try:
    installed()
    MISSING = None
except UserError as error:
    MISSING = str(error)

pytestmark = [pytest.mark.browser, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

WIDE, NARROW, HEIGHT = 1280, 360, 900
# Charts that are on view, with how many marks each has drawn.
DRAWN = """
    return Object.fromEntries([...document.querySelectorAll('.chart')]
        .filter((place) => place.offsetParent !== null)
        .map((place) => [place.dataset.chart, place.querySelectorAll(
            'svg [class*="mark-"]:not([class*="role-axis"]):not([class*="mark-group"]) :is(path, line, text)'
        ).length]));
"""
COLOUR_OF = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
# Dots of the map that stand back.
PALE = """
    const dots = [...document.querySelectorAll('[data-chart="map-s0"] .mark-symbol path')];
    return dots.filter((dot) => Number(dot.getAttribute('opacity')) < 0.1).length;
"""
OUTSIDE = """
    const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll('body *')].filter((each) => {
        const box = each.getBoundingClientRect();
        const isInside = (kind) => each.closest(kind) && !each.matches(kind);
        return box.right > width + 1 && box.width > 1 && !isInside('.scrolling') && !isInside('svg');
    }).map((each) => `${each.tagName} ${each.className} ${each.textContent.slice(0, 60)}`);
"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    database = write_marts(folder / "serving.duckdb", some_rows())
    return {
        language: write_report(database, folder / f"{language}.html", language).path
        for language in ("en", "zh")
    }


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_chart_is_drawn_without_a_word_to_the_console_or_the_network(browser, pages, language):
    browser.open(pages[language], WIDE, HEIGHT)
    drawn = browser.run(DRAWN)
    browser.choose("segmentation", "s1")
    drawn |= browser.run(DRAWN)
    asked_for = set(
        browser.run("return [...document.querySelectorAll('.chart')].map((place) => place.dataset.chart)")
    )
    assert drawn.keys() == asked_for
    assert len(drawn) >= 12
    assert [name for name, marks in drawn.items() if marks == 0] == []
    assert drawn["map-s0"] >= 60
    assert browser.console() == []
    assert browser.requests() == [pages[language].as_uri()]


def test_a_page_of_large_marts_is_drawn_too(browser, tmp_path):
    page = write_report(large_marts(tmp_path / "serving.duckdb"), tmp_path / "report.html").path
    browser.open(page, WIDE, HEIGHT)
    drawn = browser.run(DRAWN)
    assert [name for name, marks in drawn.items() if marks == 0] == []
    assert drawn["map-s0"] >= 3000
    assert browser.console() == []


def test_texts_of_the_data_never_run_and_stand_as_they_are(browser, pages):
    browser.open(pages["en"], WIDE, HEIGHT)
    assert browser.run("return typeof window.hacked") == "undefined"
    assert HOSTILE in browser.run("return document.querySelector('#segments').textContent")
    # The tooltip of a dot in the segment with the hostile name.
    browser.run(
        """
        const dots = [...document.querySelectorAll('[data-chart="map-s0"] .mark-symbol path')];
        for (const dot of dots) {
            for (const kind of ['pointerover', 'mouseover', 'pointermove', 'mousemove']) {
                dot.dispatchEvent(new MouseEvent(kind, {bubbles: true, clientX: 200, clientY: 300}));
            }
            const tooltip = document.querySelector('#vg-tooltip-element');
            if (tooltip?.textContent.includes('Tools')) return;
        }
        """
    )
    assert HOSTILE in browser.run("return document.querySelector('#vg-tooltip-element').textContent")
    assert browser.run("return document.querySelectorAll('#vg-tooltip-element :is(img, script)').length") == 0
    assert browser.run("return typeof window.hacked") == "undefined"


def test_an_injected_script_is_stopped_by_the_policy_of_the_page(browser, pages, tmp_path):
    """The second wall: even a text that got out of its place could not run."""
    page = tmp_path / "injected.html"
    injected = "<script>window.hacked = 1</script><img src='https://example.invalid/x.png'></main>"
    page.write_text(pages["en"].read_text().replace("</main>", injected))
    browser.open(page, WIDE, HEIGHT)
    assert browser.run("return typeof window.hacked") == "undefined"
    assert browser.requests() == [page.as_uri()]
    assert len([line for line in browser.console() if "Content Security Policy" in line]) == 2


def test_colours_follow_the_system_and_the_choice_of_the_reader(browser, pages):
    seen = {}
    for is_dark in (False, True):
        browser.open(pages["en"], WIDE, HEIGHT, is_dark=is_dark)
        seen[is_dark] = [
            browser.run(COLOUR_OF, "body", "backgroundColor"),
            browser.run(COLOUR_OF, "[data-chart='map-s0'] .mark-symbol path", "fill"),
            browser.run(COLOUR_OF, "[data-chart='quality-for_you'] .role-axis-label text", "fill"),
        ]
    assert not set(seen[False]) & set(seen[True])
    browser.run(
        "const list = document.getElementById('colours'); list.value = 'light';"
        "list.dispatchEvent(new Event('change'))"
    )
    assert browser.run(COLOUR_OF, "body", "backgroundColor") == seen[False][0]
    browser.open(pages["en"], WIDE, HEIGHT, is_dark=True)
    assert browser.run("return document.getElementById('colours').value") == "light", (
        "the choice is remembered"
    )
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_narrow_screen_cuts_nothing_off(browser, pages, language):
    browser.open(pages[language], NARROW, HEIGHT)
    assert browser.run("return document.documentElement.scrollWidth") == NARROW
    assert browser.run(OUTSIDE) == []
    browser.choose("segmentation", "s1")
    assert browser.run(OUTSIDE) == []


def test_paper_is_light_and_cuts_nothing_off(browser, pages):
    browser.open(pages["en"], WIDE, HEIGHT, is_dark=True)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    pages_printed = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 4 <= pages_printed <= 20
    # A4 with its margins, in pixels of the page.
    browser.as_paper(703, HEIGHT)
    assert browser.run(COLOUR_OF, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run(COLOUR_OF, "body", "color") == "rgb(29, 28, 26)"
    assert browser.run(COLOUR_OF, ".top", "display") == "none"
    assert browser.run(OUTSIDE) == []
    too_wide = """
        return [...document.querySelectorAll('.chart svg')].filter((each) =>
            each.getBoundingClientRect().width > each.parentElement.getBoundingClientRect().width + 1
        ).length
    """
    assert browser.run(too_wide) == 0


def test_the_keyboard_reaches_the_report_and_picks_segments_out_on_the_map(browser, pages):
    browser.open(pages["en"], WIDE, HEIGHT)
    browser.press("TAB")
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run(PALE) == 0
    browser.run("document.querySelector('.sizes a').focus()")
    browser.wait_for(f"const pale = (() => {{ {PALE} }})(); return pale > 20 && pale < 60")
    browser.run("document.activeElement.blur()")
    browser.wait_for(f"return (() => {{ {PALE} }})() === 0")


def test_charts_lists_and_tables_have_names_for_those_who_do_not_see_them(browser, pages):
    browser.open(pages["en"], WIDE, HEIGHT)
    names = browser.accessible_names()
    assert all(name for role, name in names if role in ("image", "combobox", "link", "navigation", "region"))
    roles = [role for role, _ in names]
    assert roles.count("image") == len(browser.run(DRAWN))
    assert {"main", "navigation", "combobox", "table", "columnheader", "rowheader"} <= set(roles)
    unnamed = [name for role, name in names if role == "table" and not name]
    assert unnamed == []
