"""Files as people have them: CSV with leading zeros, times with an offset, extra columns, other languages."""

import json
import re

import duckdb
import pytest

from integration.conftest import CHEAP_SOURCES, RETAIL
from integration.data import CROWD, INACTIVE, LAMPS
from integration.harness import KEY, balance, rejected
from manyfaces.pseudonyms import user_key

HAN = re.compile(r"[\u4e00-\u9fff]")


def test_ids_keep_their_zeros(crowd):
    items = {item for (item,) in crowd[1].rows("select distinct item_id from staging.stg_events")}
    assert {"00100", "00101", "00200"} <= items
    assert {len(item) for (item,) in crowd[1].rows("select item_id from marts.user_recommendations")} == {5}


def test_a_time_with_an_offset_becomes_utc_and_one_without_is_utc(crowd):
    rows = crowd[1].rows(
        "select event_at::varchar from staging.stg_events where user_key = ? order by event_at limit 2",
        user_key(CROWD[0], KEY),
    )
    assert rows == [("2025-03-01 10:00:00",), ("2025-03-01 10:00:00",)]


def test_columns_that_begin_with_x_end_up_in_extras(crowd):
    build = crowd[1]
    assert json.loads(
        build.value("select extras from staging.stg_events where raw_event_type = 'view' limit 1")
    ) == {"x_device": "tablet"}
    assert json.loads(build.value("select extras from staging.stg_items where item_id = ?", LAMPS[3])) == {
        "x_shelf": "shelf 3"
    }
    assert json.loads(
        build.value("select extras from staging.stg_users where user_key = ?", user_key(CROWD[0], KEY))
    ) == {"x_tier": "gold"}


def test_unknown_behaviour_types_are_reported_and_warned_about(crowd):
    build = crowd[1]
    reported = build.rows(
        "select raw_event_type, sum(rejected_rows)::int from staging.rejected_events "
        "where rejection_reason = 'unknown_event_type' group by all order by all"
    )
    assert reported == [("hologram", 2), ("teleport", 3)]
    assert rejected(build)["unknown_event_type"] == 5
    assert re.search(r"WARN 2 warn_unknown_event_types", build.output)


def test_no_row_of_the_crowd_is_lost(crowd):
    workspace, build = crowd
    raw = duckdb.sql(f"select count(*) from '{workspace.files}/events.csv'").fetchall()[0][0]
    assert balance(build)["raw_events"] == raw
    assert rejected(build) == {"unknown_event_type": 5, "erased_user": 8}


def test_chinese_names_are_readable(chinese):
    workspace, build = chinese
    things = duckdb.sql(f"select distinct category from '{workspace.files}/items.parquet'").fetchall()
    words = "".join(category for (category,) in things)
    names = [
        name
        for (name,) in build.rows(
            "select name from marts.segments where segmentation = 'taste' and not is_unassigned"
        )
    ]
    assert len(names) >= 2
    assert len(set(names)) == len(names)
    for name in names:
        assert HAN.search(name), name
        assert set(HAN.findall(name)) <= set(words), name
        assert "taste-" not in name


def test_chinese_titles_stand_in_the_lists_and_in_their_reasons(chinese):
    rows = chinese[1].rows("select title, reason, source from marts.user_recommendations")
    assert all(HAN.search(title) for title, _, _ in rows)
    assert all(HAN.search(reason) for _, reason, source in rows if source == "segment")


def test_people_with_different_attributes_in_chinese_are_in_different_segments(chinese):
    rows = chinese[1].rows(
        "select segment_id, name, users from marts.segments where segmentation = 'demographic'"
    )
    assert len({name for _, name, _ in rows}) == len(rows)
    assert {name.split(", ")[1] for _, name, _ in rows if ", " in name} >= {"家庭", "单身", "夫妻"}
    mixed = chinese[1].rows(
        """
        select segment_id from marts.user_segments
        join features.user_attributes using (user_key)
        where segmentation = 'demographic' and segment_name not like '%other' and not is_unassigned
        group by segment_id having count(distinct (age_band, household)) > 1
        """
    )
    assert mixed == []


needs_retail = pytest.mark.skipif(
    not RETAIL.exists(), reason="online_retail.parquet is not in ../shared/data beside the project"
)


@needs_retail
def test_every_line_of_the_wholesaler_is_clean_or_rejected_for_its_reason(retail):
    expected = dict(
        duckdb.sql(
            f"""
            with lines as (
                select columns(* exclude (Description)), count(*) as copies from '{RETAIL}' group by all
            )
            select reason, sum(row_count)::bigint
            from (
                select
                    case
                        when CustomerID is null then 'missing_user_id'
                        when Quantity <= 0 then 'non_positive_quantity'
                        else 'duplicate'
                    end as reason,
                    if(reason = 'duplicate', copies - 1, copies) as row_count
                from lines
            )
            group by reason
            """
        ).fetchall()
    )
    assert expected["missing_user_id"] == 135_080
    assert rejected(retail) == expected
    assert balance(retail)["raw_events"] == 541_909


@needs_retail
def test_lists_of_the_wholesaler_are_titled(retail):
    untitled, rows = retail.rows(
        "select count(*) filter (title = item_id or length(title) < 4), count(*) "
        "from marts.user_recommendations"
    )[0]
    assert rows > 100_000
    assert untitled == 0


@needs_retail
def test_ids_that_a_data_frame_turned_into_numbers_are_ids_again(retail):
    key = user_key("17850", KEY)
    assert retail.value("select count(*) from marts.user_recommendations where user_key = ?", key) == 40
    assert (
        retail.value("select context from staging.stg_events where user_key = ? limit 1", key)
        == "United Kingdom"
    )


@needs_retail
def test_segments_of_the_wholesaler_have_names_of_their_own(retail):
    names = retail.rows("select segmentation, name from marts.segments where not is_unassigned")
    assert len(set(names)) == len(names)
    taste = [name for segmentation, name in names if segmentation == "taste"]
    assert len(taste) >= 4
    assert all(re.search(r"[A-Za-z]{3}", name) and "taste" not in name for name in taste), taste


def test_an_inactive_item_is_known_but_not_for_sale(crowd):
    assert crowd[1].rows("select item_id from features.item_stats where not is_active") == [(INACTIVE,)]


def test_fixed_weights_rank_what_the_named_sources_give_and_keep_nothing_else(chinese):
    build = chinese[1]
    lists = build.rows(
        "select list, count(distinct user_key), count(*) from marts.user_recommendations group by list"
    )
    assert {(name, users) for name, users, _ in lists} == {("for_you", 120), ("discover", 120)}
    assert all(count == 20 * users for _, users, count in lists)
    sources = build.rows("select distinct source from recommendations.source_candidates")
    assert {source for (source,) in sources} == set(CHEAP_SOURCES)
    assert build.value("select count(*) from recommendations.content_candidates") == 0
    assert build.value("select count(*) from recommendations.ranking_weights") == 0
    kept = build.rows(
        "select table_name from duckdb_tables() where schema_name = 'recommendations' "
        "and (table_name like 'training%' or table_name like 'ranking%')"
    )
    assert {name for (name,) in kept} == {
        "ranking_finalists",
        "ranking_walls",
        "ranking_weights",
        "training_candidates",
    }
