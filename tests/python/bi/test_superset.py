"""Superset from an empty home: it imports the dashboards, draws them, and shows the next build by itself.

Needs Superset (make superset installs it) and Chromium with its driver; without them it is skipped. Runs on
a small made-up file, or on a copy of the one that MANYFACES_BI_DATABASE names; with MANYFACES_BI_PICTURES it
leaves pictures of the dashboards in that folder.
"""

import http.cookiejar
import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import duckdb
import pytest
from bundle import read_bundle
from conftest import PROJECT
from serve import ADDRESS, ADMINISTRATOR, PASSWORD, Superset
from superset_marts import write_serving

SECRET = "a password for this test"
INSTALLED = PROJECT / ".superset" / "venv"
BROWSER = Path(__file__).with_name("browser.py")
DASHBOARDS = ["segments", "segment", "recommendations"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (INSTALLED / ".ready").exists(), reason="Superset is not installed: make superset installs it"
    ),
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="Chromium is not installed: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def models(manifest):
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def serving(models, tmp_path_factory):
    file = tmp_path_factory.mktemp("superset") / "serving.duckdb"
    if given := os.environ.get("MANYFACES_BI_DATABASE"):
        return Path(shutil.copy(PROJECT / given, file))
    return write_serving(file, models)


@pytest.fixture(scope="module")
def superset(serving):
    """A Superset that has never run."""
    (serving.parent / "venv").symlink_to(INSTALLED)
    return Superset(serving.parent)


@pytest.fixture(scope="module")
def address(superset, serving):
    before = os.environ.get(PASSWORD)
    os.environ[PASSWORD] = SECRET
    try:
        superset.prepare(serving)
    finally:
        os.environ.pop(PASSWORD) if before is None else os.environ.update({PASSWORD: before})
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    with superset.serve(port):
        yield f"http://{ADDRESS}:{port}"


class Client:
    """Asks the API of Superset as a logged-in user."""

    def __init__(self, address: str) -> None:
        self.address = address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)
        self.headers = {"Content-Type": "application/json", "Referer": address}
        login = {"username": ADMINISTRATOR, "password": SECRET, "provider": "db"}
        token = self.ask("security/login", login)[1]["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"
        self.headers["X-CSRFToken"] = self.ask("security/csrf_token/")[1]["result"]

    def ask(self, path: str, content: dict | None = None) -> tuple[int, dict]:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", data, self.headers)
        try:
            with self.opener.open(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def execute(self, sql: str) -> tuple[int, dict]:
        """Run SQL as SQL Lab does."""
        (database,) = self.ask("database/")[1]["result"]
        content = {"database_id": database["id"], "sql": sql, "runAsync": False, "expand_data": True}
        return self.ask("sqllab/execute/", content)


@pytest.fixture(scope="module")
def client(address):
    return Client(address)


def look(superset, address, *names, pictures="-"):
    """Open dashboards in the browser."""
    done = subprocess.run(
        [superset.python, BROWSER, address, pictures, *names],
        env=superset.environment() | {PASSWORD: SECRET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def seen(superset, address):
    return look(superset, address, *DASHBOARDS, pictures=os.environ.get("MANYFACES_BI_PICTURES", "-"))


def query(serving, sql):
    with duckdb.connect(serving, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def titles():
    """Titles of the charts of each dashboard."""
    bundle = read_bundle()
    return {
        name: {
            place["meta"]["sliceName"]
            for place in bundle[f"dashboards/{name}.yaml"]["position"].values()
            if isinstance(place, dict) and place["type"] == "CHART"
        }
        for name in DASHBOARDS
    }


def data_of(seen, dashboard, title):
    """The rows that the browser got for a chart, the last time."""
    (number,) = [chart["id"] for chart in seen["dashboards"][dashboard] if chart["title"] == title]
    return [each["answer"] for each in seen["answers"] if each["slice_id"] == number][-1]["result"][0]["data"]


def test_every_chart_of_every_dashboard_is_drawn(seen, serving):
    (walls,) = query(serving, "select count(*) from marts.segment_migrations where segmentation = 'taste'")[0]
    (judged,) = query(serving, "select count(*) from marts.recommendation_quality")[0]
    may_be_empty = set() if walls else {"Moved", "Where users went"}
    may_be_empty |= set() if judged else {"Quality in the backtest", "Quality of the strategies"}
    for name, expected in titles().items():
        charts = seen["dashboards"][name]
        assert {chart["title"] for chart in charts} == expected
        wrong = [
            chart
            for chart in charts
            if chart["alert"]
            or chart["is_loading"]
            or not (chart["is_empty"] if chart["title"] in may_be_empty else chart["is_drawn"])
        ]
        assert wrong == []


def test_the_browser_is_never_sent_to_another_machine(seen, address):
    assert seen["hosts"] == [address.removeprefix("http://")]
    # Superset asks for a picture that counts visits; the policy of the page forbids it.
    assert [
        line for line in seen["complaints"] if not ("scarf.sh" in line and "Content Security Policy" in line)
    ] == []


def test_the_glance_shows_the_numbers_of_the_file(seen, serving):
    def shown(title):
        return data_of(seen, "segments", title)

    (totals,) = query(serving, "select sum(users), count(*) from marts.segments where segmentation = 'taste'")
    assert (shown("Users")[0]["users_total"], shown("Segments")[0]["segments"]) == totals
    sizes = query(serving, "select name, users from marts.segments where segmentation = 'taste'")
    assert {row["segment_name"]: row[row["segment_name"]] for row in shown("Size of the segments")} == dict(
        sizes
    )
    assert [row["users"] for row in shown("What the segments are")] == sorted(dict(sizes).values())[::-1]
    spend = query(
        serving,
        "select sum(spend) from marts.segment_daily "
        "where segmentation = 'taste' and days_ago between 1 and 28",
    )[0][0]
    assert shown("Spend")[0]["spend_last_28_days"] == pytest.approx(float(spend))
    (built_at,) = query(serving, "select epoch_ms(built_at) from marts.build_info")[0]
    assert shown("Build")[0]["built_at"] == pytest.approx(built_at, abs=1)


def test_one_segment_shows_the_largest_at_first_and_nothing_of_others(seen, serving):
    def shown(title):
        return data_of(seen, "segment", title)

    name, users, description = query(
        serving,
        "select name, users, description from marts.segments "
        "where segmentation = 'taste' order by users desc",
    )[0]
    assert shown("Users") == [{"users_total": users}]
    assert [row["description"] for row in shown("The segment")] == [description]
    assert len(shown("Its users")) == min(users, 1000)
    for title, table, columns in (
        ("Items it takes more of", "segment_top_items", ["rank", "title", "lift"]),
        ("Categories it takes more of", "segment_top_categories", ["rank", "category", "lift"]),
        ("Profile against everyone", "segment_profiles", ["mean", "overall_mean", "standardised_difference"]),
    ):
        expected = query(
            serving,
            f"select {', '.join(columns)} from marts.{table} "
            f"where segmentation = 'taste' and segment_name = '{name}'",
        )
        assert expected
        assert sorted(tuple(row[column] for column in columns) for row in shown(title)) == sorted(expected)


def test_recommendations_show_the_list_of_one_user_and_the_totals_of_all(seen, serving):
    def shown(title):
        return data_of(seen, "recommendations", title)

    (user,) = query(serving, "select min(user_key) from marts.user_recommendations")[0]
    rows = query(
        serving,
        "select rank, title, reason from marts.user_recommendations "
        f"where user_key = '{user}' and list = 'for_you' order by rank",
    )
    assert [(row["rank"], row["title"], row["reason"]) for row in shown("One user's list")] == rows
    totals = query(
        serving,
        "select count(distinct user_key), count(distinct item_id) "
        "from marts.user_recommendations where list = 'for_you'",
    )[0]
    assert (
        shown("Users with a list")[0]["users_total"],
        shown("Different items")[0]["items_total"],
    ) == totals
    sources = query(
        serving,
        "select source, sum(rows) from marts.recommendation_overview where list = 'for_you' group by 1",
    )
    found = {
        row.pop("source"): sum(filter(None, row.values())) for row in shown("Where recommendations come from")
    }
    assert found == {source: float(total) for source, total in sources}
    quality = query(
        serving,
        "select strategy, ndcg, ndcg_low, ndcg_high from marts.recommendation_quality "
        "where is_newest and k = 20 and scope = 'supported' and group_kind = 'all' and list = 'for_you'",
    )
    assert sorted(
        (row["strategy"], row["ndcg"], row["ndcg_low"], row["ndcg_high"])
        for row in shown("Quality of the strategies")
    ) == sorted(quality)


def test_every_metric_gives_what_its_sql_gives(client, serving):
    metrics = 0
    for dataset in client.ask("dataset/?q=(page_size:100)")[1]["result"]:
        table = dataset["table_name"]
        content = read_bundle()[f"datasets/Manyfaces/{table}.yaml"]
        for metric in content["metrics"]:
            code, answer = client.ask(
                "chart/data",
                {
                    "datasource": {"id": dataset["id"], "type": "table"},
                    "queries": [{"metrics": [metric["metric_name"]], "columns": []}],
                    "result_format": "json",
                    "result_type": "full",
                },
            )
            assert code == 200, answer
            (row,) = answer["result"][0]["data"]
            (expected,) = query(serving, f"select {metric['expression']} from marts.{table}")[0]
            assert row[metric["metric_name"]] == (
                None if expected is None else pytest.approx(float(expected))
            )
            metrics += 1
    assert metrics > 10


def test_people_read_what_the_columns_mean(client, models):
    for dataset in client.ask("dataset/?q=(page_size:100)")[1]["result"]:
        shown = client.ask(f"dataset/{dataset['id']}")[1]["result"]
        model = models[dataset["table_name"]]
        assert shown["schema"] == "marts"
        assert shown["description"] == model["description"]
        descriptions = {column["column_name"]: column["description"] for column in shown["columns"]}
        assert all(descriptions.values())
        expected = {name: column["description"] for name, column in model["columns"].items()}
        assert descriptions | expected == descriptions


def test_sql_lab_reads_and_never_writes(client, serving):
    code, answer = client.execute("select count(*) as users from marts.user_segments")
    assert code == 200, answer
    assert answer["data"] == [
        {"users": total} for (total,) in query(serving, "select count(*) from marts.user_segments")
    ]
    for statement in (
        "create table marts.mine as select 1 as one",
        "delete from marts.segments",
        "update marts.segments set users = 0",
        "drop table marts.segments",
    ):
        code, answer = client.execute(statement)
        assert (code, answer["errors"][0]["error_type"]) == (500, "DML_NOT_ALLOWED_ERROR"), statement


@pytest.mark.parametrize(
    "statement",
    [
        "select content from read_text('{file}')",
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "attach '{database}' as other (read_only)",
    ],
)
def test_sql_lab_reads_no_other_file(client, tmp_path, statement):
    file, database = tmp_path / "secret.csv", tmp_path / "secret.duckdb"
    file.write_text("word\nhidden\n")
    duckdb.connect(database).close()
    code, answer = client.execute(statement.format(file=file, database=database))
    assert code >= 400, answer
    assert "hidden" not in json.dumps(answer)


def test_the_next_build_is_seen_without_a_restart(superset, address, client, seen, serving):
    # Before anything is imported again, since that would empty a cache.
    next_build = serving.with_name("serving.duckdb.tmp")
    shutil.copy(serving, next_build)
    with duckdb.connect(next_build) as connection:
        for statement in (
            "update marts.build_info set run_id = 'next', built_at = built_at + interval 1 hour",
            """delete from marts.segments where segment_id = (
                select segment_id from marts.segments where segmentation = 'taste' order by users limit 1
            )""",
            "update marts.segments set users = users - 1 where segmentation = 'taste'",
        ):
            connection.execute(statement).fetchall()
    os.replace(next_build, serving)

    again = look(superset, address, "segments")
    test_the_glance_shows_the_numbers_of_the_file(again, serving)
    (before,), (after,) = (data_of(each, "segments", "Users") for each in (seen, again))
    assert after["users_total"] < before["users_total"]
    assert client.execute("select run_id from marts.build_info")[1]["data"] == [{"run_id": "next"}]


def test_an_import_again_overwrites(superset, client, serving):
    def there():
        return {
            kind: sorted(
                (each["id"], each[name]) for each in client.ask(f"{kind}/?q=(page_size:100)")[1]["result"]
            )
            for kind, name in (
                *(("database", "database_name"), ("dataset", "table_name")),
                *(("chart", "slice_name"), ("dashboard", "dashboard_title")),
            )
        }

    # The file of the test before has other segments.
    assert superset.prepare(serving) is None
    before = there()
    assert len(before["chart"]) == sum(len(charts) for charts in titles().values())
    prepared = superset.home / "prepared"
    stamp = prepared.stat().st_mtime_ns
    assert superset.prepare(serving) is None
    # The second time there is nothing to do.
    assert prepared.stat().st_mtime_ns == stamp
    prepared.write_text("something else")
    assert superset.prepare(serving) is None
    assert prepared.read_text() != "something else"
    assert there() == before
