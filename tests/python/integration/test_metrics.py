"""Metrics as MetricFlow gives them, against SQL written by hand on the same build."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.harness import NO_NETWORK, PROJECT, Build

pytest.importorskip("dbt_metricflow", reason="the extra bi is not installed: pip install -e '.[bi]'")

RUN = """
import sys
from pathlib import Path
from manyfaces.metrics import run_metricflow
sys.exit(run_metricflow(sys.argv[3:], sys.argv[1], Path(sys.argv[2])))
"""


class MetricFlow:
    """MetricFlow on one build, cut off from the network."""

    def __init__(self, build: Build, folder: Path) -> None:
        self.build, self.folder = build, folder
        self.network_attempts = folder / "network_attempts.txt"

    def run(self, *arguments: str) -> str:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "MANYFACES_"))
        }
        paths = [str(NO_NETWORK), str(PROJECT)]
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(self.build.database), str(self.folder / "metrics"), *arguments],
            cwd=PROJECT,
            env=kept | {"PYTHONPATH": os.pathsep.join(paths), "NETWORK_ATTEMPTS": str(self.network_attempts)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def query(self, *metrics: str, by: str = "", where: str = "") -> list[dict[str, str]]:
        file = self.folder / "answer.csv"
        options = ["--group-by", by] if by else []
        options += ["--where", where] if where else []
        self.run("query", "--metrics", ",".join(metrics), *options, "--csv", str(file))
        with file.open() as lines:
            return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def metricflow(planted, tmp_path_factory):
    return MetricFlow(planted.first, tmp_path_factory.mktemp("metricflow"))


# Every metric without a group, as an analyst would count it who has never heard of semantic models.
TOTALS = {
    "users": "select count(*) from features.user_attributes",
    "new_users": "select count(*) from marts.user_profiles where is_new",
    "users_at_risk": "select count(*) from marts.user_profiles where is_at_risk",
    "active_users": "select count(distinct user_key) from features.events",
    "events": "select count(*) from features.events",
    "orders": """
        select count(*) from (
            select distinct user_key, event_on, coalesce(session_id, '') from features.events
            where value_kind = 'amount' and preference > 0
        )
    """,
    "spend": "select sum(round(amount, 2)) from features.events",
    "spend_per_user": "select sum(amount) / count(distinct user_key) from features.events",
    "average_order_value": """
        select
            sum(amount)
            / count(distinct (user_key, event_on, coalesce(session_id, '')))
                filter (where value_kind = 'amount' and preference > 0)
        from features.events
    """,
    "orders_per_user": """
        select
            count(distinct (user_key, event_on, coalesce(session_id, '')))
                filter (where value_kind = 'amount' and preference > 0)
            / count(distinct user_key)
        from features.events
    """,
    "settled_user_days": """
        select count(distinct (user_key, event_on)) from features.events
        where event_on + 28 <= (select cast(as_of as date) - 1 from features.wall)
    """,
    "retained_user_days": """
        select count(distinct (events.user_key, events.event_on))
        from features.events
        join features.events as later
            on later.user_key = events.user_key
            and later.event_on > events.event_on
            and later.event_on <= events.event_on + 28
        where events.event_on + 28 <= (select cast(as_of as date) - 1 from features.wall)
    """,
    "retention": """
        select avg(cast(exists (
            from features.events as later
            where later.user_key = active.user_key
            and later.event_on between active.event_on + 1 and active.event_on + 28
        ) as integer))
        from (select distinct user_key, event_on from features.events) as active
        where event_on + 28 <= (select cast(as_of as date) - 1 from features.wall)
    """,
    "segment_users": "select count(*) from marts.user_segments",
    "segment_share": "select count(distinct segmentation) from marts.user_segments",
    "recommended_rows": "select count(*) from recommendations.user_lists",
    "personal_rows": "select count(*) from marts.user_recommendations where fallback_level in (0, 1)",
    "personal_share": "select avg(cast(fallback_level < 2 as integer)) from marts.user_recommendations",
    "users_with_lists": "select count(distinct user_key) from recommendations.user_lists",
    "items_in_lists": "select count(distinct item_id) from recommendations.user_lists",
    "impressions": "select count(*) from recommendations.shown_items",
    "users_shown": "select count(distinct user_key) from recommendations.shown_items",
    "responses": "select count(*) from recommendations.shown_items where response_events > 0",
    "settled_impressions": "select count(*) from recommendations.shown_items where age_days >= 7",
    "settled_responses": """
        select count(*) from recommendations.shown_items where age_days >= 7 and response_events > 0
    """,
    "response_rate": """
        select avg(cast(response_events > 0 as integer)) from recommendations.shown_items where age_days >= 7
    """,
}


def test_every_metric_has_a_total_to_be_held_against(manifest):
    assert {node["name"] for node in manifest["metrics"].values()} == set(TOTALS)


def test_the_configuration_is_valid_and_every_metric_can_be_asked_for(metricflow):
    said = metricflow.run("validate-configs")
    assert said.count("ERRORS: 0, FUTURE_ERRORS: 0, WARNINGS: 0") == 6, said


def test_totals_equal_those_of_sql(metricflow):
    (row,) = metricflow.query(*TOTALS)
    found = {name: float(row[name]) for name in TOTALS}
    expected = {name: float(metricflow.build.value(query)) for name, query in TOTALS.items()}
    # Nobody signs up late in this data.
    assert [name for name, value in expected.items() if not value] == ["new_users"]
    assert found == pytest.approx(expected, rel=1e-6)


def test_months_and_segments_equal_those_of_sql(metricflow):
    rows = metricflow.query(
        "spend", "orders", "active_users", "retention", by="metric_time__month,user__segment_name"
    )
    found = {
        (row["metric_time__month"][:10], row["user__segment_name"]): (
            float(row["spend"]),
            int(row["orders"]),
            int(row["active_users"]),
            float(row["retention"]) if row["retention"] else None,
        )
        for row in rows
    }
    expected = {
        (str(month), segment): (float(spend), orders, users, retention)
        for month, segment, spend, orders, users, retention in metricflow.build.rows(
            """
            with active as (
                select user_key, event_on, sum(amount) as spend,
                    count(distinct coalesce(session_id, ''))
                        filter (where value_kind = 'amount' and preference > 0) as orders
                from features.events
                group by user_key, event_on
            ),
            days as (
                select *, case when event_on + 28 <= cast(as_of as date) - 1 then exists (
                    from active as later where later.user_key = active.user_key
                    and later.event_on between active.event_on + 1 and active.event_on + 28
                ) end as retained
                from active cross join features.wall
            )
            select cast(date_trunc('month', event_on) as date), segment_name, sum(spend), sum(orders),
                count(distinct user_key), avg(cast(retained as integer))
            from days join marts.user_segments using (user_key)
            where segmentation = 'taste'
            group by all
            """
        )
    }
    assert len(expected) > 20
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures, rel=1e-6), key


def test_shares_of_one_segmentation_add_up(metricflow):
    rows = metricflow.query(
        "segment_users",
        "segment_share",
        by="segment__name",
        where="{{ Dimension('segment__segmentation') }} = 'rfm'",
    )
    expected = dict(
        metricflow.build.rows(
            "select segment_name, count(*) from marts.user_segments where segmentation = 'rfm' group by all"
        )
    )
    assert {row["segment__name"]: int(row["segment_users"]) for row in rows} == expected
    assert sum(float(row["segment_share"]) for row in rows) == pytest.approx(1, abs=1e-4)


def test_a_response_rate_by_list_counts_only_what_is_settled(metricflow):
    rows = metricflow.query("settled_impressions", "response_rate", by="impression__strategy")
    found = {
        row["impression__strategy"]: (int(row["settled_impressions"]), float(row["response_rate"]))
        for row in rows
    }
    expected = {
        strategy: (shown, rate)
        for strategy, shown, rate in metricflow.build.rows(
            """
            select strategy, count(*), avg(cast(is_acted_on as integer))
            from marts.shown_log where is_settled group by all
            """
        )
    }
    assert len(expected) > 1
    assert found == {strategy: pytest.approx(figures) for strategy, figures in expected.items()}


def test_a_file_that_others_read_can_be_asked_and_nobody_else_is(metricflow):
    import duckdb

    # In a process of its own, so that the lock is what another program would have.
    with duckdb.connect(metricflow.build.database, read_only=True) as reader:
        assert reader.execute("select count(*) from marts.segments").fetchall()[0][0] > 0
        assert len(metricflow.query("users")) == 1
    assert not metricflow.network_attempts.exists()
