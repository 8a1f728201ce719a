"""The dashboards of bi/superset, without Superset: the YAML fits together, and fits the marts."""

import re
import uuid
import zipfile

import bundle as bundle_module
import duckdb
import pytest
import yaml
from conftest import PROJECT
from superset_marts import write_serving

from manyfaces.errors import UserError

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "manyfaces/bi/superset")
# What may follow a word in an expression that is no column.
WORD = re.compile(r"'[^']*'|\b([a-z_][a-z0-9_]*)\b(?!\s*\()", re.IGNORECASE)
SQL = {
    *("and", "as", "avg", "between", "by", "case", "coalesce", "count", "distinct", "else", "end", "false"),
    *("filter", "in", "is", "not", "null", "or", "order", "sum", "then", "true", "when", "where"),
}


@pytest.fixture(scope="module")
def models(manifest):
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }


@pytest.fixture(scope="module")
def bundle():
    return bundle_module.read_bundle()


@pytest.fixture(scope="module")
def serving(models, tmp_path_factory):
    return write_serving(tmp_path_factory.mktemp("superset") / "serving.duckdb", models)


@pytest.fixture(scope="module")
def filled(bundle, serving):
    return bundle_module.fill(bundle, serving)


def of_kind(bundle, kind):
    return {path: content for path, content in bundle.items() if path.startswith(f"{kind}/")}


def columns_of(dataset, models):
    """Columns of the mart, and those that the dataset calculates from them."""
    calculated = {column["column_name"] for column in dataset["columns"] if "expression" in column}
    return set(models[dataset["table_name"]]["columns"]), calculated


def words(expression):
    """Names of columns in an expression."""
    return {word for word in WORD.findall(expression) if word and word.lower() not in SQL}


def used_by(chart):
    """Columns and metrics that a chart names, and columns in the SQL of its filters."""
    params = chart["params"]
    columns, metrics = set(), set(params.get("metrics", []))
    columns |= set(params.get("groupby", [])) | set(params.get("all_columns", []))
    columns |= {params[key] for key in ("x_axis", "source", "target") if key in params}
    columns |= set(params.get("column_config", {})) - metrics
    columns |= {yaml.safe_load(order)[0] for order in params.get("order_by_cols", [])}
    metrics |= {params[key] for key in ("metric", "timeseries_limit_metric") if key in params}
    metrics |= {params["x_axis_sort"]} - {"sum", params["x_axis"]} if "x_axis_sort" in params else set()
    for each in params["adhoc_filters"]:
        columns |= words(each["sqlExpression"]) if each["expressionType"] == "SQL" else {each["subject"]}
    return columns, metrics


def test_there_are_dashboards_with_charts_on_datasets_of_one_database(bundle):
    assert {path.split("/")[0] for path in bundle} == {
        *("metadata.yaml", "databases", "datasets", "charts", "dashboards")
    }
    assert len(of_kind(bundle, "dashboards")) == 3


def test_every_uuid_is_made_from_the_path_so_that_an_import_overwrites(bundle):
    wrong = {
        path: str(uuid.uuid5(NAMESPACE, path))
        for path, content in bundle.items()
        if path != "metadata.yaml" and content["uuid"] != str(uuid.uuid5(NAMESPACE, path))
    }
    assert wrong == {}


def test_everything_refers_to_what_is_there_and_is_used(bundle):
    ids = {
        kind: {content["uuid"] for content in of_kind(bundle, kind).values()}
        for kind in ("databases", "datasets", "charts")
    }
    datasets = of_kind(bundle, "datasets").values()
    charts = of_kind(bundle, "charts").values()
    assert {dataset["database_uuid"] for dataset in datasets} == ids["databases"]
    assert {chart["dataset_uuid"] for chart in charts} == ids["datasets"]
    shown = [
        place["meta"]["uuid"]
        for dashboard in of_kind(bundle, "dashboards").values()
        for place in dashboard["position"].values()
        if isinstance(place, dict) and place["type"] == "CHART"
    ]
    assert sorted(shown) == sorted(ids["charts"])


def test_places_of_a_dashboard_are_a_tree_of_rows_that_fit(bundle):
    for path, dashboard in of_kind(bundle, "dashboards").items():
        places = {name: place for name, place in dashboard["position"].items() if isinstance(place, dict)}
        children = [child for place in places.values() for child in place.get("children", [])]
        assert sorted([*children, "ROOT_ID", "HEADER_ID"]) == sorted(places), path
        for name, place in places.items():
            assert place["id"] == name
            if place["type"] == "ROW":
                assert sum(places[child]["meta"]["width"] for child in place["children"]) == 12, name
            if place["type"] == "CHART":
                chart = of_kind(bundle, "charts")[f"charts/{name.removeprefix('CHART-')}.yaml"]
                assert place["meta"]["sliceName"] == chart["slice_name"]
                assert place["meta"]["uuid"] == chart["uuid"]


def test_every_dataset_is_a_mart_whose_columns_exist(bundle, models):
    for path, dataset in of_kind(bundle, "datasets").items():
        assert dataset["schema"] == "marts"
        assert not dataset.get("sql")
        assert dataset["table_name"] in models, path
        of_mart, calculated = columns_of(dataset, models)
        named = {column["column_name"] for column in dataset["columns"]}
        assert named - calculated <= of_mart, path
        # A calculated column must not hide one of the mart.
        assert not calculated & of_mart, path
        expressions = [column["expression"] for column in dataset["columns"] if "expression" in column]
        expressions += [metric["expression"] for metric in dataset["metrics"]]
        assert words(" ".join(expressions)) <= of_mart, path
        assert dataset.get("main_dttm_col", next(iter(of_mart))) in of_mart, path
        assert all(metric["description"] and metric["verbose_name"] for metric in dataset["metrics"]), path


def test_every_chart_uses_columns_and_metrics_that_exist(bundle, models):
    datasets = {dataset["uuid"]: dataset for dataset in of_kind(bundle, "datasets").values()}
    for path, chart in of_kind(bundle, "charts").items():
        dataset = datasets[chart["dataset_uuid"]]
        columns, metrics = used_by(chart)
        of_mart, calculated = columns_of(dataset, models)
        assert columns <= of_mart | calculated, path
        assert metrics <= {metric["metric_name"] for metric in dataset["metrics"]}, path
        assert columns | metrics, path
        assert chart["description"], path
        assert chart["viz_type"] == chart["params"]["viz_type"], path


def test_no_metric_or_calculated_column_is_left_unused(bundle):
    charts = of_kind(bundle, "charts").values()
    filters = [
        each
        for dashboard in of_kind(bundle, "dashboards").values()
        for each in dashboard["metadata"]["native_filter_configuration"]
    ]
    for path, dataset in of_kind(bundle, "datasets").items():
        used = set().union(
            *(set().union(*used_by(chart)) for chart in charts if chart["dataset_uuid"] == dataset["uuid"])
        )
        for each in filters:
            if each["targets"][0]["datasetUuid"] == dataset["uuid"]:
                used |= {each["targets"][0]["column"]["name"], each.get("sortMetric")}
        made = {metric["metric_name"] for metric in dataset["metrics"]}
        made |= {column["column_name"] for column in dataset["columns"] if "expression" in column}
        assert made - used == set(), path


def test_filters_reach_every_chart_in_their_scope(bundle, models):
    datasets = {dataset["uuid"]: dataset for dataset in of_kind(bundle, "datasets").values()}
    charts = {chart["uuid"]: chart for chart in of_kind(bundle, "charts").values()}
    for path, dashboard in of_kind(bundle, "dashboards").items():
        places = [place for place in dashboard["position"].values() if isinstance(place, dict)]
        numbers = {
            place["meta"]["chartId"]: place["meta"]["uuid"] for place in places if place["type"] == "CHART"
        }
        for each in dashboard["metadata"]["native_filter_configuration"]:
            column = each["targets"][0]["column"]["name"]
            assert set(each["scope"]["excluded"]) <= set(numbers), path
            for number, chart in numbers.items():
                if number not in each["scope"]["excluded"]:
                    found = set().union(*columns_of(datasets[charts[chart]["dataset_uuid"]], models))
                    assert column in found, (path, each["name"], charts[chart]["slice_name"])


def test_the_dashboards_start_with_the_segmentation_that_is_the_default(bundle):
    default = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["default_segmentation"]
    starts = [
        each["defaultDataMask"]["filterState"]["value"]
        for dashboard in of_kind(bundle, "dashboards").values()
        for each in dashboard["metadata"]["native_filter_configuration"]
        if each["name"] == "Segmentation"
    ]
    assert starts == [[default], [default]]


def test_nothing_in_the_bundle_names_a_place_of_this_machine(bundle):
    database = bundle["databases/serving.yaml"]
    assert database["sqlalchemy_uri"] == "duckdb:///{serving}"
    assert database["extra"]["engine_params"]["connect_args"]["read_only"] is True
    assert database["allow_dml"] is False
    assert str(PROJECT) not in yaml.safe_dump(bundle)


def test_the_filled_bundle_takes_path_types_and_descriptions_from_the_file(filled, serving, models):
    assert filled["databases/serving.yaml"]["sqlalchemy_uri"] == f"duckdb:///{serving}"
    for path, dataset in of_kind(filled, "datasets").items():
        model = models[dataset["table_name"]]
        assert dataset["description"] == model["description"]
        columns = {column["column_name"]: column for column in dataset["columns"]}
        assert list(columns)[: len(model["columns"])] == list(model["columns"]), path
        for name, column in columns.items():
            assert column["description"], (path, name)
            assert column["verbose_name"], (path, name)
            if "expression" not in column:
                assert column["description"] == model["columns"][name]["description"]
                assert column["is_dttm"] == (model["columns"][name]["data_type"] in ("date", "timestamp"))


def test_every_expression_runs_on_the_file(filled, serving):
    with duckdb.connect(serving, read_only=True) as connection:
        for dataset in of_kind(filled, "datasets").values():
            made = [*dataset["metrics"], *(each for each in dataset["columns"] if "expression" in each)]
            for each in made:
                connection.execute(
                    f"select {each['expression']} from marts.{dataset['table_name']}"
                ).fetchall()


def test_segments_of_one_segmentation_have_different_colours_the_same_everywhere(filled):
    colours = [dashboard["metadata"]["label_colors"] for dashboard in of_kind(filled, "dashboards").values()]
    for names in (["Cats", "Bread", "Wine"], ["Loyal", "Lost"]):
        assert len({colours[0][name] for name in names}) == len(names)
        assert all(given[name] == colours[0][name] for given in colours for name in names)
        assert all(colours[0][name + bundle_module.AFTER] == colours[0][name] for name in names)


def test_a_default_that_the_file_does_not_have_gives_way_to_the_first_value(bundle, models, tmp_path):
    other = write_serving(tmp_path / "other.duckdb", models)
    with duckdb.connect(other) as connection:
        connection.execute(
            "update marts.segments set segmentation = 'mine' where segmentation = 'taste'"
        ).fetchall()
    filled = bundle_module.fill(bundle, other)
    for given in (filled, bundle_module.fill(bundle, write_serving(tmp_path / "same.duckdb", models))):
        each = given["dashboards/segments.yaml"]["metadata"]["native_filter_configuration"][0]
        is_known = given is not filled
        assert bool(each["defaultDataMask"]["filterState"]) == is_known
        assert each["controlValues"]["defaultToFirstItem"] != is_known


def test_the_zip_has_one_folder_at_its_top_and_every_file(filled, tmp_path):
    target = tmp_path / "bundle.zip"
    bundle_module.write_zip(filled, target)
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {"manyfaces"}
        found = {name.split("/", 1)[1]: yaml.safe_load(archive.read(name)) for name in names}
    assert found == filled


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("drop table marts.segments", "has no table marts.segments"),
        ("alter table marts.segments drop column users", "has no column marts.segments.users"),
    ],
)
def test_an_older_file_is_refused_with_what_it_lacks(bundle, models, tmp_path, change, problem):
    older = write_serving(tmp_path / "older.duckdb", models)
    with duckdb.connect(older) as connection:
        connection.execute(change).fetchall()
    with pytest.raises(UserError, match=f"older.duckdb {problem}: build and publish it anew"):
        bundle_module.fill(bundle, older)


def test_a_missing_file_is_a_plain_sentence(bundle, tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*none\.duckdb: run `make publish` first"):
        bundle_module.fill(bundle, tmp_path / "none.duckdb")


def test_a_file_that_is_no_database_is_a_plain_sentence(bundle, tmp_path):
    (tmp_path / "serving.duckdb").write_text("no database, but long enough to be looked at" * 400)
    with pytest.raises(UserError, match="not a DuckDB database"):
        bundle_module.fill(bundle, tmp_path / "serving.duckdb")
