import io

import duckdb
import pytest
from rich.cells import cell_len

from manyfaces.errors import UserError
from manyfaces.summary import print_summary

TABLES = (
    "create schema marts",
    "create table marts.data_quality "
    "(check_name text, line text, reason text, row_count bigint, share double, is_ok boolean)",
    "create table marts.segments "
    "(segmentation text, segment_id text, name text, description text, distinguishing_categories text, "
    "users bigint, share double)",
    "create table marts.user_segments (segmentation text, user_key text, segment_name text, reason text)",
    "create table marts.user_recommendations "
    "(user_key text, list text, rank integer, item_id text, title text, "
    "source text, reason text, segment_id text, fallback_level integer, is_repeat boolean)",
)
ROWS = (
    "insert into marts.data_quality values ('raw_events', 'raw', null, 1200, 1, true), "
    "('clean_events', 'clean', null, 1100, 0.9, true), "
    "('rejected_bot', 'rejected', 'bot', 60, 0.05, true), "
    "('rejected_no_time', 'rejected', 'no_time', 40, 0.03, true), "
    "('raw_is_clean_plus_rejected', 'balance', null, 0, 0, true)",
    "insert into marts.segments values "
    "('taste', 'taste-01', '早餐与鲜奶', 'Takes more of: Milk', 'Milk (2.0 x)', 30, 0.75), "
    "('taste', 'taste-02', 'Pets', 'Takes more of: Milk', 'Milk (3.0 x)', 10, 0.25), "
    "('rfm', 'rfm-01', '[bold]Loyal', 'Was here lately.', null, 40, 1)",
    "insert into marts.user_segments values ('taste', 'bbb', '早餐与鲜奶', 'Nearest centre'), "
    "('rfm', 'bbb', '[bold]Loyal', 'Active'), ('taste', 'ccc', 'Pets', 'Nearest centre')",
    "insert into marts.user_recommendations "
    "select user_key, 'for_you', range + 1, 'item-' || range, 'Item ' || range, 'content', "
    "'Described alike', segment_id, 0, range = 0 "
    "from (values ('aaa', 1, 'taste-01'), ('ccc', 12, 'taste-02'), ('bbb', 12, 'taste-01'), "
    "('aab', 12, null), ('ddd', 30, 'taste-01')) as users(user_key, length, segment_id), range(30) "
    "where range < length",
)


def summarise(path, statements):
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
    out = io.StringIO()
    print_summary(path, out)
    return out.getvalue()


def test_counts_segments_and_one_users_lists_are_shown(tmp_path):
    text = summarise(tmp_path / "serving.duckdb", TABLES + ROWS)
    assert "1,200 raw events: 1,100 clean, 100 rejected (bot 60, no time 40)." in text
    assert "Every raw row is accounted for." in text
    assert "2 users in segments, 5 users with lists, 30 recommended items." in text
    assert "Segmentation taste: 2 segments" in text
    assert "75.0 %" in text
    assert "Was here lately." in text
    assert "[bold]Loyal" in text, "what looks like markup is text"


def test_the_example_has_a_segment_and_the_median_number_of_personal_items_and_the_smallest_key(tmp_path):
    text = summarise(tmp_path / "serving.duckdb", TABLES + ROWS)
    # 12 is the median; aab has no segment, ccc comes after bbb.
    assert "One user: bbb" in text
    assert text.count("Described alike") == 10, "ten rows of a list of twelve"
    discover = text.partition("List discover")[2].partition("Next")[0]
    assert "This list is empty." in discover


def test_columns_stand_under_each_other_when_characters_are_wide(tmp_path):
    lines = summarise(tmp_path / "serving.duckdb", TABLES + ROWS).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("Segmentation taste"))
    wide, narrow = lines[start + 3 : start + 5]
    assert wide.startswith("早餐与鲜奶")
    assert cell_len(wide.partition("Milk")[0]) == cell_len(narrow.partition("Milk")[0])
    assert len(wide.partition("Milk")[0]) < len(narrow.partition("Milk")[0])


def test_a_failing_check_is_named(tmp_path):
    failing = (
        "update marts.data_quality set is_ok = false, row_count = 7 "
        "where check_name = 'raw_is_clean_plus_rejected'",
    )
    text = summarise(tmp_path / "serving.duckdb", TABLES + ROWS + failing)
    assert "Checks that fail: raw_is_clean_plus_rejected." in text
    assert "accounted for" not in text


def test_empty_marts_are_said_to_be_empty(tmp_path):
    text = summarise(tmp_path / "serving.duckdb", TABLES)
    assert "No events: the input is empty." in text
    assert "No segments" in text
    assert "No recommendations" in text
    assert "0 users in segments" in text


def test_marts_that_are_not_there_are_left_out(tmp_path):
    text = summarise(tmp_path / "serving.duckdb", TABLES[:2])
    assert "No segments" in text
    assert "users with lists" not in text


def test_a_file_without_marts_or_none_at_all_is_said_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no missing\.duckdb: run"):
        print_summary(tmp_path / "missing.duckdb")
    with pytest.raises(UserError, match="holds no marts"):
        summarise(tmp_path / "other.duckdb", ["create table users (user_id text)"])
