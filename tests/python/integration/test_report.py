"""The report of real small builds: of a log without a row, of one user, of a small crowd."""

import re

import pytest

from manyfaces.report import write_report


def page(build, tmp_path, language="en"):
    return write_report(build.database, tmp_path / "report.html", language).path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_build_without_events_has_a_report_that_says_so(empty, tmp_path, language):
    text = page(empty.second, tmp_path, language)
    assert {"en": "There are no raw rows: the input is empty.", "zh": "没有原始记录"}[language] in text
    assert {"en": "No user has a list.", "zh": "没有用户有推荐列表"}[language] in text
    assert "could not be read" not in text


def test_one_user_has_a_report(single, tmp_path):
    text = page(single, tmp_path)
    assert "One user in" in text
    assert "In this user&#39;s history 1 time, on 2025-03-01" in text
    assert "could not be read" not in text


def test_a_small_crowd_has_a_report_with_its_segments_and_lists(crowd, tmp_path):
    build = crowd[1]
    text = page(build, tmp_path)
    names = [name for (name,) in build.rows("select name from marts.segments where not is_unassigned")]
    assert names
    assert [name for name in names if name.replace("&", "&amp;") not in text] == []
    assert "Every raw row is accounted for." in text
    assert "The lists have not been judged yet." in text
    assert "could not be read" not in text


def test_users_without_consent_are_in_no_example(crowd, tmp_path):
    build = crowd[1]
    private = build.rows("select user_key from marts.user_profiles where not has_consent")
    assert private
    text = page(build, tmp_path)
    shown = re.findall(r"User ([0-9a-f]{8})<", text)
    assert shown
    assert [key for (key,) in private if key[:8] in shown] == []


def test_chinese_titles_stand_in_a_chinese_report(chinese, tmp_path):
    build = chinese[1]
    text = page(build, tmp_path, "zh")
    names = [name for (name,) in build.rows("select name from marts.segments where not is_unassigned")]
    assert [name for name in names if not name.isascii()]
    assert [name for name in names if name.replace("&", "&amp;") not in text] == []
    assert "could not be read" not in text
    assert "无法从发布的文件中读取" not in text
