"""The peers of benchmarks/peers: how lists are cut and split, and the data set that is mapped for them."""

import sys
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "peers"))

import peers
import prepare


def events_of(rows: list[tuple[int, int, float]], users: int, items: int) -> peers.Events:
    user, item, age_days = (np.array(column) for column in zip(*rows, strict=True))
    return peers.Events(user, item, age_days, users, items)


@pytest.fixture
def random_events() -> peers.Events:
    numbers = np.random.default_rng(7)
    rows = zip(
        numbers.integers(0, 30, 300), numbers.integers(0, 12, 300), numbers.uniform(0, 90, 300), strict=True
    )
    return events_of(list(rows), users=30, items=12)


def test_a_list_is_cut_best_first_with_ties_by_item_and_without_what_is_ruled_out():
    scores = np.array([[1.0, 3.0, 3.0, 2.0], [-np.inf, 1.0, -np.inf, -np.inf]])

    assert peers.cut(scores, 3).tolist() == [[1, 2, 3], [1, -1, -1]]
    assert peers.cut(scores, 9).tolist() == [[1, 2, 3, 0], [1, -1, -1, -1]]


def test_lists_of_new_items_hold_nothing_that_the_user_had(random_events):
    recommend = peers.popularity(random_events, {"half_life_days": 14})

    had = random_events.matrix().toarray() > 0
    for user, items in enumerate(recommend(12, True)):
        assert sorted(items[items >= 0]) == np.flatnonzero(~had[user]).tolist()
    assert (recommend(12, False) == recommend(12, False)[0]).all()


def test_own_frequency_lists_own_items_before_popular_ones():
    # Item 1 is popular; user 2 had item 2 twice and item 0 once.
    rows = [(0, 1, 1.0), (1, 1, 1.0), (3, 1, 1.0), (2, 2, 1.0), (2, 2, 2.0), (2, 0, 1.0)]
    recommend = peers.own_frequency(events_of(rows, users=4, items=3), {"half_life_days": 1000})

    assert recommend(3, False)[2].tolist() == [2, 0, 1]
    assert recommend(3, True)[2].tolist() == [1, -1, -1]


def test_both_forms_of_ease_give_the_same_lists(random_events):
    settings = {"regularisation": 5.0, "value": "log"}
    lists = [fit(random_events, settings)(6, True) for fit in (peers.ease, peers.ease_by_users)]

    np.testing.assert_array_equal(*lists)


def test_an_inner_split_knows_nothing_later_and_judges_supported_items_of_known_users():
    rows = [
        *[(user, 0, 50.0) for user in range(3)],
        (0, 1, 50.0),  # an item with one user only
        (0, 0, 5.0),
        (1, 1, 5.0),
        (3, 0, 5.0),  # a user without older events
    ]
    kept, relevant = peers.inner_split(events_of(rows, users=4, items=2), age_days=28, min_users=2)

    assert list(zip(kept.user, kept.item, kept.age_days, strict=True)) == [
        (user, 0, 22.0) for user in range(3)
    ]
    assert [(int(user), int(item)) for user, item in zip(*relevant.nonzero(), strict=True)] == [(0, 0)]


def test_ndcg_has_an_ideal_of_at_most_k_hits_and_counts_users_without_a_list_as_zero():
    relevant = sparse.csr_matrix(np.array([[1, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    lists = np.array([[0, 3], [3, 2], [-1, -1], [0, 1]])

    discount = 1 / np.log2(3)
    assert peers.ndcg(lists, relevant, k=2) == pytest.approx((1 / (1 + discount) + discount + 0) / 3)


def test_online_retail_is_mapped_to_the_input_contract_with_a_wall_at_80_percent_of_the_purchase_lines(
    tmp_path,
):
    source = tmp_path / "lines.parquet"
    duckdb.execute(f"""
        copy (
            select
                case when line = 10 then 'C' else '' end || line as InvoiceNo,
                'A' || (line % 2) as StockCode,
                'thing ' || (line % 2) as Description,
                cast(case when line = 10 then -2 else 2 end as double) as Quantity,
                cast(timestamp '2011-01-01' + to_days(cast(line as integer)) as timestamp_ns) as InvoiceDate,
                0.5::double as UnitPrice,
                case when line = 11 then null else 17850.0 end::double as CustomerID,
                'France' as Country
            from range(12) as lines(line)
        ) to '{source}'
    """)

    wall = prepare.write_online_retail(source, tmp_path / "input")

    # Of the ten purchases with a customer, the eighth is of line 7.
    assert wall == "2011-01-08 00:00:00"
    events = duckdb.sql(f"from '{tmp_path / 'input' / 'events.parquet'}' order by event_at").fetchall()
    assert events[0] == ("17850", "A0", "purchase", datetime(2011, 1, 1), 1.0, 2.0, "0")
    assert [row[2] for row in events].count("return") == 1
    assert events[11][0] is None
    assert duckdb.sql(f"from '{tmp_path / 'input' / 'items.parquet'}' order by 1").fetchall() == [
        ("A0", "thing 0"),
        ("A1", "thing 1"),
    ]
    assert duckdb.sql(f"from '{tmp_path / 'input' / 'users.parquet'}'").fetchall() == [
        ("17850", datetime(2011, 1, 1), "France")
    ]
