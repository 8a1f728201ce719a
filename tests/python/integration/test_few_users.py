"""Few users: one alone, and users with none, one and three events beside a small crowd."""

import pytest

from integration.data import CROWD, INACTIVE, LAMPS, NONE, ONE, PRIVATE, ROPES, THREE
from integration.harness import KEY, wrong_fallback_levels
from manyfaces.pseudonyms import user_key

LIST = """
    select item_id, source, fallback_level, is_repeat, reason, title
    from marts.user_recommendations where user_key = ? and list = ? order by rank
"""


def listed(build, user_id, name):
    return build.rows(LIST, user_key(user_id, KEY), name)


def test_one_user_with_one_event_is_reminded_of_it(single):
    rows = listed(single, "ada", "for_you")
    assert [(item_id, source, level, repeat) for item_id, source, level, repeat, *_ in rows] == [
        ("lamp", "buy_again", 1, True)
    ]
    assert rows[0][4] == "In this user's history 1 time, on 2025-03-01"
    assert listed(single, "ada", "discover") == []
    assert single.value("select count(*) from marts.user_segments") > 0


def test_a_column_without_a_single_value_is_as_good_as_none(single):
    assert single.rows("select item_id, title, released_at, is_active from staging.stg_items") == [
        ("lamp", "lamp", None, True)
    ]
    assert single.rows("select event_at::varchar, value from staging.stg_events") == [
        ("2025-03-01 10:00:00", None)
    ]


def test_a_user_without_events_gets_what_is_popular(crowd):
    rows = listed(crowd[1], NONE, "for_you")
    popular = crowd[1].rows(
        "select item_id from marts.segment_recommendations "
        "where segmentation = 'everyone' order by rank limit 20"
    )
    assert [(item_id,) for item_id, *_ in rows] == popular
    assert {(source, level, repeat) for _, source, level, repeat, *_ in rows} == {("popular", 3, False)}


def test_a_user_with_one_event_is_reminded_of_it_first(crowd):
    rows = listed(crowd[1], ONE, "for_you")
    assert len(rows) == 20
    assert rows[0][:4] == (LAMPS[0], "buy_again", 1, True)
    assert {item_id for item_id, *_ in rows[1:]} <= {*LAMPS, *ROPES}


def test_three_events_are_enough_to_find_more_of_the_kind(crowd):
    bought = listed(crowd[1], THREE, "for_you")[:3]
    assert {item_id for item_id, *_ in bought} == set(ROPES[:3])
    found = [item_id for item_id, *_ in listed(crowd[1], THREE, "discover")]
    assert set(found[:8]) <= set(ROPES[3:]), found


def test_everybody_known_has_both_lists_and_each_row_a_reason(crowd):
    users = {user_key(user_id, KEY) for user_id in (*CROWD, NONE, ONE, THREE, PRIVATE)}
    rows = crowd[1].rows(
        "select user_key, list, count(*), count(*) filter (length(reason) > 10), max(rank) "
        "from marts.user_recommendations group by all"
    )
    assert {(user, name) for user, name, *_ in rows} == {
        (user, name) for user in users for name in ("for_you", "discover")
    }
    assert all(count == reasons == last for _, _, count, reasons, last in rows)


def test_the_fallback_level_follows_from_the_source_and_the_number_of_events(crowd):
    assert wrong_fallback_levels(crowd[1]) == []
    levels = crowd[1].rows("select distinct fallback_level from marts.user_recommendations")
    assert {0, 1, 3} <= {level for (level,) in levels}


def test_discover_shows_nothing_that_the_user_has_met(crowd):
    rows = crowd[1].rows(
        """
        select recommendations.user_key, item_id
        from marts.user_recommendations as recommendations
        join staging.stg_events using (user_key, item_id)
        where list = 'discover' or not is_repeat
        """
    )
    assert rows == []


@pytest.mark.parametrize(
    "column",
    [
        "user_recommendations.item_id",
        "segment_recommendations.item_id",
        "segment_top_items.item_id",
        "similar_items.similar_item_id",
    ],
)
def test_the_item_that_everybody_has_is_nowhere_once_it_is_inactive(crowd, column):
    table, name = column.split(".")
    assert (
        crowd[1].value("select count(distinct user_key) from staging.stg_events where item_id = ?", INACTIVE)
        == 40
    )
    items = {item for (item,) in crowd[1].rows(f"select distinct {name} from marts.{table}")}
    assert len(items) > 10
    assert INACTIVE not in items


def test_who_did_not_consent_gets_only_what_is_popular(crowd):
    for name in ("for_you", "discover"):
        rows = listed(crowd[1], PRIVATE, name)
        assert rows
        assert {source for _, source, *_ in rows} == {"popular"}
