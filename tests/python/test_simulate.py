"""The simulated input: what was planted must be what an independent recount of the written files finds."""

import argparse
import hashlib
import json
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from manyfaces.errors import UserError
from manyfaces.simulate import REJECTION_REASONS, Parameters, add_arguments, run, simulate

SEEDS = Path(__file__).parents[2] / "seeds"

# The cleaning rules of models/staging in the plainest possible SQL: the first reason that fits wins, an order
# is one action however many lines it has, and of identical rows one stays.
RECOUNT = """
create table events as select * from read_parquet($events);
create table types as select event_type, canonical_type, is_order_line from read_csv($types);
create table judged as
select
    row_number() over () as row_number,
    events.*,
    canonical_type,
    is_order_line,
    case
        when user_id is null then 'missing_user_id'
        when item_id is null then 'missing_item_id'
        when event_at is null then 'missing_time'
        when event_at < '1990-01-01' or event_at >= current_date + 2 then 'impossible_time'
        when canonical_type is null then 'unknown_event_type'
        when quantity <= 0 and canonical_type <> 'return' then 'non_positive_quantity'
    end as reason
from events left join types using (event_type);
create table actions as
select
    row_number,
    case when is_order_line then concat_ws('|', session_id, event_at) else row_number::varchar end as action,
    count(distinct action) over (partition by user_id, event_at::date) as actions_on_day,
    count(distinct action) over (partition by user_id, date_trunc('minute', event_at)) as actions_in_minute
from judged where reason is null;
create table final_reasons as
select
    judged.*,
    case
        when reason is not null then reason
        when actions_on_day > 2000 then 'bot'
        when actions_in_minute > 60 then 'burst'
        when row_number() over (
            partition by user_id, item_id, event_type, event_at, value, quantity, session_id, context
            order by row_number
        ) > 1 then 'duplicate'
    end as final_reason
from judged left join actions using (row_number);
"""


def recount(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with the written events judged by the rules, as `final_reasons`."""
    files = folder / "events.parquet"
    events = str(files if files.exists() else folder / "events" / "*.parquet")
    connection = duckdb.connect()
    for statement in RECOUNT.split(";\n"):
        values = {"events": events, "types": str(SEEDS / "event_types.csv")}
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        if statement.strip():
            connection.execute(statement, used)
    for name in ("users", "favourites", "dirt"):
        connection.execute(f"create view truth_{name} as from read_parquet('{folder}/truth/{name}.parquet')")
    for name in ("users", "items", "impressions"):
        connection.execute(f"create view {name} as from read_parquet('{folder}/{name}.parquet')")
    return connection


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "data"
    simulate(folder, Parameters(events=20_000, users=500, items=400, bots=2, dirt_rate=0.03, drift_share=0.2))
    return folder


@pytest.fixture(scope="module")
def judged(folder):
    return recount(folder)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_files_have_the_columns_and_rows_that_were_asked_for(folder, judged):
    described = {
        name: dict(judged.execute(f"select column_name, column_type from (describe {name})").fetchall())
        for name in ("events", "items", "users", "impressions")
    }
    assert described["events"] == {
        "user_id": "VARCHAR",
        "item_id": "VARCHAR",
        "event_type": "VARCHAR",
        "event_at": "TIMESTAMP",
        "value": "DOUBLE",
        "quantity": "INTEGER",
        "session_id": "VARCHAR",
        "context": "VARCHAR",
    }
    assert list(described["items"]) == [
        "item_id",
        "title",
        "category",
        "subcategory",
        "brand",
        "price",
        "released_at",
        "is_active",
    ]
    assert set(described["users"]) >= {"user_id", "signed_up_at", "age_band", "gender", "region"}
    assert set(described["impressions"]) >= {"impression_id", "user_id", "item_id", "shown_at", "position"}
    counted = judged.execute(
        "select (select count(*) from events), (select count(*) from users), (select count(*) from items)"
    ).fetchall()[0]
    assert counted == (20_000, 500, 400)
    assert judged.execute(
        "select count(distinct impression_id) = count(*), count(*) > 0 from impressions"
    ).fetchall()[0] == (
        True,
        True,
    )


def test_planted_dirt_is_what_the_cleaning_rules_find(judged):
    planted = dict(judged.execute("select reason, rows from truth_dirt where effect = 'rejected'").fetchall())
    found = dict(
        judged.execute(
            "select final_reason, count(*) from final_reasons where final_reason is not null group by all"
        ).fetchall()
    )
    assert set(planted) == set(REJECTION_REASONS)
    assert all(planted.values()), "every reason is planted"
    assert found == planted


def test_clean_events_of_each_user_are_as_the_truth_says(judged):
    wrong = judged.execute(
        """
        with counted as (
            select user_id, count(*) as events from final_reasons where final_reason is null group by user_id
        )
        select count(*) from truth_users full join counted using (user_id)
        where clean_events is distinct from coalesce(events, 0)
        """
    ).fetchall()[0][0]
    assert wrong == 0
    few = dict(
        judged.execute(
            "select clean_events, count(*) from truth_users "
            "where not is_bot and clean_events <= 3 group by all"
        ).fetchall()
    )
    assert few == {0: 4, 1: 4, 3: 4}


def test_a_bot_is_rejected_altogether_and_a_burst_leaves_the_rest_of_its_user(judged):
    bots = judged.execute(
        "select count(distinct user_id), bool_and(is_bot), count(distinct (user_id, event_at::date)) "
        "from final_reasons join truth_users using (user_id) where final_reason = 'bot'"
    ).fetchall()[0]
    assert bots == (2, True, 2)
    bursts = judged.execute(
        "select count(*), bool_or(is_bot), min(clean_events) >= 4 from truth_users where user_id in "
        "(select user_id from final_reasons where final_reason = 'burst')"
    ).fetchall()[0]
    assert bursts == (1, False, True)


def test_outliers_are_the_only_values_above_the_cap(judged):
    above, planted = judged.execute(
        """
        with caps as (
            select canonical_type, 20 * quantile_cont(value, 0.99) as cap
            from judged where value <> 0 group by all
        )
        select
            count(*) filter (where value > cap and canonical_type <> 'rating'),
            (select rows from truth_dirt where reason = 'outlier_value')
        from final_reasons join caps using (canonical_type) where final_reason is null
        """
    ).fetchall()[0]
    assert above == planted > 0
    assert planted < 0.0005 * 20_000


def test_segments_have_tastes_of_their_own(folder, judged):
    segments = json.loads((folder / "truth" / "parameters.json").read_text())["segments"]
    assert len(segments) == 6
    shares = judged.execute(
        """
        select segment, category, count(*) / sum(count(*)) over (partition by segment) as share
        from final_reasons join truth_users using (user_id) join items using (item_id)
        where final_reason is null and drifted_at is null
        group by segment, category
        """
    ).fetchall()
    for segment in segments:
        own = {category: share for number, category, share in shares if number == segment["segment"]}
        strongest = sorted(own, key=own.get, reverse=True)[:3]
        assert set(strongest) == set(segment["categories"])
        assert sum(own[category] for category in segment["categories"]) > 0.7


def test_favourites_are_what_their_segment_likes_more_than_others_do(judged):
    lifts = judged.execute(
        """
        with clean as (
            select item_id, segment from final_reasons join truth_users using (user_id)
            where final_reason is null and drifted_at is null
        )
        select
            truth_favourites.rank,
            count(*) filter (where clean.segment = truth_favourites.segment)
                / (select count(*) from clean where segment = truth_favourites.segment)
            / (greatest(count(*) filter (where clean.segment <> truth_favourites.segment), 1)
                / (select count(*) from clean where segment <> truth_favourites.segment)) as lift
        from truth_favourites left join clean using (item_id)
        group by truth_favourites.segment, truth_favourites.item_id, truth_favourites.rank
        """
    ).fetchall()
    assert min(lift for rank, lift in lifts if rank <= 3) > 5
    assert judged.execute("select count(*), count(distinct item_id) from truth_favourites").fetchall()[0] == (
        120,
        120,
    )


def test_planted_segments_can_be_found_and_users_within_one_differ(judged):
    rows = judged.execute(
        """
        pivot (
            select user_id, segment, category from final_reasons
            join truth_users using (user_id) join items using (item_id)
            where final_reason is null and drifted_at is null and clean_events >= 10
        ) on category using count(*) group by user_id, segment order by user_id
        """
    ).fetchnumpy()
    segment = rows.pop("segment").astype(int)
    rows.pop("user_id")
    shares = np.column_stack(list(rows.values())).astype(float)
    shares /= shares.sum(axis=1, keepdims=True)
    found = KMeans(6, n_init=5, random_state=0).fit_predict(np.sqrt(shares))
    assert adjusted_rand_score(segment, found) > 0.85
    spread = [
        np.linalg.norm(shares[segment == one] - shares[segment == one].mean(axis=0), axis=1).mean()
        for one in range(1, 7)
    ]
    assert min(spread) > 0.1


def test_who_drifts_likes_something_else_afterwards(judged):
    drifted, users = judged.execute(
        "select count(drifted_at), count(*) filter (where not is_bot and clean_events > 3) from truth_users"
    ).fetchall()[0]
    assert drifted == round(0.2 * users)
    before, after = judged.execute(
        """
        with preferred as (
            select segment, category from final_reasons
            join truth_users using (user_id) join items using (item_id)
            where final_reason is null and drifted_at is null
            group by segment, category
            qualify row_number() over (partition by segment order by count(*) desc) <= 3
        ),
        drifting as (
            select truth_users.*, event_at, category from final_reasons
            join truth_users using (user_id) join items using (item_id)
            where final_reason is null and drifted_at is not null
        ),
        marked as (
            select
                event_at >= drifted_at as is_after,
                exists (
                    from preferred
                    where preferred.category = drifting.category
                        and preferred.segment
                            = if(event_at >= drifted_at, drifting.segment_after, drifting.segment)
                ) as is_preferred
            from drifting
        )
        select
            avg(is_preferred::int) filter (where not is_after),
            avg(is_preferred::int) filter (where is_after)
        from marked
        """
    ).fetchall()[0]
    assert before > 0.7
    assert after > 0.7
    assert judged.execute(
        "select bool_and(segment <> segment_after) from truth_users where drifted_at is not null"
    ).fetchall()[0][0]


def test_items_are_used_while_they_are_sold_and_their_popularity_is_skewed(judged):
    early, inactive, late = judged.execute(
        """
        select
            count(*) filter (where event_at < released_at),
            (select avg((not is_active)::int) from items),
            (select avg((released_at > '2025-01-01')::int) from items)
        from final_reasons join items using (item_id) where final_reason is null
        """
    ).fetchall()[0]
    assert early == 0
    assert 0.01 < inactive < 0.12
    assert 0.01 < late < 0.12
    top = judged.execute(
        """
        with item_users as (
            select item_id, count(distinct user_id) as users from final_reasons
            where final_reason is null group by item_id
        ),
        ranked as (select users, row_number() over (order by users desc) as place from item_users)
        select sum(users) filter (where place <= 40) / sum(users) from ranked
        """
    ).fetchall()[0][0]
    assert top > 0.3, "a tenth of the items has far more than a tenth of the users"


def test_clean_events_lie_in_the_period(judged):
    first, last = judged.execute(
        "select min(event_at)::date, max(event_at)::date from final_reasons where final_reason is null"
    ).fetchall()[0]
    assert date(2024, 7, 1) <= first <= date(2024, 7, 10)
    assert date(2025, 6, 25) <= last <= date(2025, 6, 30)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("manyfaces.simulate.BLOCK_EVENTS", 1500)
    parameters = Parameters(events=6_000, users=100, items=64)
    simulate(tmp_path / "one", parameters, workers=1)
    simulate(tmp_path / "two", parameters, workers=3)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert len(list((tmp_path / "one" / "events").iterdir())) == 4
    simulate(tmp_path / "other", Parameters(events=6_000, users=100, items=64, seed=8))
    assert hashes(tmp_path / "one")["users.parquet"] != hashes(tmp_path / "other")["users.parquet"]


def test_many_files_hold_the_planted_dirt_as_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr("manyfaces.simulate.BLOCK_EVENTS", 2000)
    planted = simulate(tmp_path, Parameters(events=10_000, users=200, items=100, bots=1, dirt_rate=0.5))
    judged = recount(tmp_path)
    found = dict(judged.execute("select final_reason, count(*) from final_reasons group by all").fetchall())
    assert sum(found.values()) == 10_000
    assert {reason: found.get(reason, 0) for reason in REJECTION_REASONS} == {
        reason: planted[reason] for reason in REJECTION_REASONS
    }


def test_language_changes_texts_and_nothing_else(tmp_path):
    for language in ("en", "zh"):
        simulate(tmp_path / language, Parameters(events=5_000, language=language))
    english, chinese = hashes(tmp_path / "en"), hashes(tmp_path / "zh")
    differing = {name for name in english if english[name] != chinese[name]}
    assert differing == {"items.parquet", "users.parquet", "truth/parameters.json"}
    titles = duckdb.sql(
        f"select count(*) filter (where regexp_matches(title, '[\\x{{4e00}}-\\x{{9fff}}]')) = count(*), "
        f"count(distinct category) from '{tmp_path}/zh/items.parquet'"
    ).fetchall()[0]
    assert titles == (True, 32)


def test_without_dirt_every_row_is_clean(tmp_path):
    simulate(tmp_path, Parameters(events=5_000, dirt_rate=0, bots=0, drift_share=0, segments=1))
    judged = recount(tmp_path)
    rows = judged.execute("select count(*), count(final_reason) from final_reasons").fetchall()
    assert rows == [(5_000, 0)]
    assert judged.execute("select count(drifted_at), max(segment) from truth_users").fetchall()[0] == (0, 1)


@pytest.mark.parametrize("segments", [2, 8, 16])
def test_any_number_of_segments_has_disjoint_categories_and_favourites(tmp_path, segments):
    simulate(tmp_path, Parameters(events=5_000, items=200, segments=segments))
    document = json.loads((tmp_path / "truth" / "parameters.json").read_text())
    categories = [category for segment in document["segments"] for category in segment["categories"]]
    assert len(document["segments"]) == segments
    assert len(set(categories)) == len(categories)
    rows, items = duckdb.sql(
        f"select count(*), count(distinct item_id) from '{tmp_path}/truth/favourites.parquet'"
    ).fetchall()[0]
    assert rows == items > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"events": 0}, "--events must be at least 1"),
        ({"events": 5_000, "items": 3}, "--items must be at least 32"),
        ({"events": 5_000, "segments": 17}, "--segments must be 1 to 16"),
        ({"events": 5_000, "users": 4_000}, "too few for the users"),
        ({"events": 50_000, "users": 20, "days": 2, "bots": 0}, "too many for so few users"),
        ({"events": 5_000, "users": 50, "bots": 50}, "--bots must be fewer than the 50 users"),
        ({"events": 5_000, "end": date(1990, 6, 30)}, "between 1990 and 2098"),
        ({"events": 5_000, "language": "fr"}, "--language must be en or zh"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_before_anything_is_written(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulate(tmp_path / "data", Parameters(**changes))
    assert not (tmp_path / "data").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "events.parquet").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and was not made by a simulation"):
        simulate(tmp_path, Parameters(events=5_000))
    assert (tmp_path / "events.parquet").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]


def test_an_earlier_simulation_is_replaced_and_other_files_beside_it_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("manyfaces.simulate.BLOCK_EVENTS", 2000)
    simulate(tmp_path, Parameters(events=5_000))
    (tmp_path / "notes.txt").write_text("mine")
    assert (tmp_path / "events").is_dir()
    monkeypatch.setattr("manyfaces.simulate.BLOCK_EVENTS", 1_000_000)
    simulate(tmp_path, Parameters(events=6_000))
    assert not (tmp_path / "events").exists()
    assert duckdb.sql(f"select count(*) from '{tmp_path}/events.parquet'").fetchall()[0][0] == 6_000
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_command_says_what_it_did_or_what_is_wrong(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out = str(tmp_path / "data")
    options = ["--out", out, "--events", "5000", "--end", "2024-12-31", "--language", "zh"]
    assert run(parser.parse_args(options)) == 0
    assert "5,000 events" in capsys.readouterr().out
    document = json.loads((tmp_path / "data" / "truth" / "parameters.json").read_text(encoding="utf-8"))
    assert document["is_complete"]
    assert document["parameters"]["end"] == "2024-12-31"
    with pytest.raises(UserError, match="--events must be at least 1"):
        run(parser.parse_args(["--out", out, "--events", "0"]))
