"""Every dashboard that the project ships is an exposure, and the exposure depends on just what it reads.

An exposure names its file or folder in config.meta.source: manyfaces/report, a dashboard of
bi/superset, or a notebook.
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT

MART = re.compile(r"\bmarts\.(\w+)")


def read_by_text(text: str) -> set[str]:
    """Names that stand behind `marts.`; in Python they may also be attributes."""
    return set(MART.findall(text))


def read_by_report(folder: Path) -> set[str]:
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".sql", ".html", ".jinja", ".j2")]
    return read_by_text("\n".join(path.read_text() for path in files))


def read_by_notebook(file: Path) -> set[str]:
    cells = json.loads(file.read_text())["cells"]
    return read_by_text("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))


def read_by_superset(dashboard: Path) -> set[str]:
    """Follow a dashboard to its charts and filters, these to datasets, and these to a table or a query."""
    bundle = dashboard.parents[1]
    charts, datasets = (
        {
            content["uuid"]: content
            for content in (yaml.safe_load(path.read_text()) for path in (bundle / folder).rglob("*.yaml"))
        }
        for folder in ("charts", "datasets")
    )
    content = yaml.safe_load(dashboard.read_text())
    places = [place for place in content["position"].values() if isinstance(place, dict)]
    shown = [place["meta"]["uuid"] for place in places if place.get("type") == "CHART"]
    assert shown, f"{dashboard} shows no chart"
    filters = (content.get("metadata") or {}).get("native_filter_configuration") or []
    used = {charts[chart]["dataset_uuid"] for chart in shown}
    used |= {
        target["datasetUuid"]
        for each in filters
        for target in each.get("targets", [])
        if "datasetUuid" in target
    }
    found = set()
    for dataset in (datasets[uuid] for uuid in used):
        found |= read_by_text(dataset["sql"]) if dataset.get("sql") else {dataset["table_name"]}
    return found


def shipped(project: Path) -> dict[str, set[str]]:
    """Each dashboard of a project, by its path, with the names that it reads."""
    found = {}
    if (project / "manyfaces" / "report").is_dir():
        found["manyfaces/report"] = read_by_report(project / "manyfaces" / "report")
    for dashboard in (project / "bi" / "superset").rglob("dashboards/*.yaml"):
        found[str(dashboard.relative_to(project))] = read_by_superset(dashboard)
    for notebook in (project / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in notebook.parts:
            found[str(notebook.relative_to(project))] = read_by_notebook(notebook)
    return found


def wrong_exposures(manifest: dict, project: Path) -> list[str]:
    """What is wrong, each with what would be right."""
    marts = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }
    exposures = {
        exposure["config"]["meta"].get("source"): exposure for exposure in manifest["exposures"].values()
    }
    dashboards = shipped(project)
    problems = [
        f"no exposure has the source {source}" for source in sorted(dashboards.keys() - exposures.keys())
    ]
    problems += [
        f"exposure {exposures[source]['name']} has the source {source}, which is no dashboard"
        for source in sorted(exposures.keys() - dashboards.keys(), key=str)
    ]
    for source in sorted(dashboards.keys() & exposures.keys()):
        read = sorted(dashboards[source] & marts)
        stated = sorted(name.split(".")[-1] for name in exposures[source]["depends_on"]["nodes"])
        if stated != read:
            right = ", ".join(f"ref('{name}')" for name in read)
            problems.append(f"exposure {exposures[source]['name']} should have depends_on: [{right}]")
    return problems


def test_exposures_depend_on_what_the_dashboards_read(manifest):
    assert wrong_exposures(manifest, PROJECT) == []


def test_every_exposure_says_what_it_is_for(manifest):
    assert [
        exposure["name"]
        for exposure in manifest["exposures"].values()
        if not (exposure["description"].strip() and exposure["label"])
    ] == []


@pytest.fixture
def project(tmp_path):
    """A project with one dashboard of each kind."""
    report = tmp_path / "manyfaces" / "report"
    report.mkdir(parents=True)
    (report / "queries.py").write_text('marts.frame("select * from marts.segments")\nmarts.names()\n')
    bundle = tmp_path / "bi" / "superset" / "bundle"
    for file, content in {
        "datasets/serving/sizes.yaml": {"uuid": "d1", "table_name": "segments", "sql": None},
        "datasets/serving/joined.yaml": {
            "uuid": "d2",
            "table_name": "joined",
            "sql": "select * from marts.user_segments join marts.user_profiles using (user_key)",
        },
        "datasets/serving/unused.yaml": {"uuid": "d3", "table_name": "data_quality"},
        "charts/one.yaml": {"uuid": "c1", "dataset_uuid": "d1"},
        "charts/two.yaml": {"uuid": "c2", "dataset_uuid": "d2"},
        "charts/three.yaml": {"uuid": "c3", "dataset_uuid": "d3"},
        "dashboards/segments.yaml": {
            "position": {
                "DASHBOARD_VERSION_KEY": "v2",
                "ROW-1": {"type": "ROW"},
                "CHART-1": {"type": "CHART", "meta": {"uuid": "c1"}},
                "CHART-2": {"type": "CHART", "meta": {"uuid": "c2"}},
            },
            "metadata": {"native_filter_configuration": [{"targets": [{"datasetUuid": "d4"}]}]},
        },
        "datasets/serving/choices.yaml": {"uuid": "d4", "table_name": "calendar_days"},
    }.items():
        path = bundle / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    notebook = tmp_path / "notebooks" / "tour.ipynb"
    notebook.parent.mkdir()
    cells = [
        {"cell_type": "markdown", "source": ["`marts.similar_items` is not read."]},
        {"cell_type": "code", "source": ["query('select *\\n", "from marts.user_map')"]},
    ]
    notebook.write_text(json.dumps({"cells": cells}))
    return tmp_path


def made_up_manifest(**exposures):
    """A manifest with some marts, and exposures given as name=(source, what it depends on)."""
    marts = ["segments", "user_segments", "user_profiles", "user_map", "similar_items", "data_quality"]
    marts += ["calendar_days"]
    return {
        "nodes": {name: {"name": name, "resource_type": "model", "schema": "marts"} for name in marts},
        "exposures": {
            name: {
                "name": name,
                "config": {"meta": {"source": source}},
                "depends_on": {"nodes": [f"model.manyfaces.{mart}" for mart in reads]},
            }
            for name, (source, reads) in exposures.items()
        },
    }


SOURCES = {
    "html_report": ("manyfaces/report", ["segments"]),
    "superset_segments": (
        "bi/superset/bundle/dashboards/segments.yaml",
        ["calendar_days", "segments", "user_profiles", "user_segments"],
    ),
    "notebook": ("notebooks/tour.ipynb", ["user_map"]),
}


def test_dashboards_of_each_kind_are_followed_to_their_tables(project):
    assert wrong_exposures(made_up_manifest(**SOURCES), project) == []


@pytest.mark.parametrize("name", SOURCES)
def test_a_dashboard_without_an_exposure_is_found(project, name):
    source = SOURCES[name][0]
    exposures = {other: given for other, given in SOURCES.items() if other != name}
    assert wrong_exposures(made_up_manifest(**exposures), project) == [f"no exposure has the source {source}"]


@pytest.mark.parametrize("name", SOURCES)
def test_an_exposure_that_depends_on_more_or_less_is_found(project, name):
    source, reads = SOURCES[name]
    for other in ([*reads, "similar_items"], reads[1:]):
        (problem,) = wrong_exposures(made_up_manifest(**SOURCES | {name: (source, other)}), project)
        assert problem.startswith(f"exposure {name} should have depends_on: [ref('{reads[0]}')")


def test_an_exposure_of_a_dashboard_that_is_gone_is_found(project):
    manifest = made_up_manifest(**SOURCES, old=("notebooks/old.ipynb", ["segments"]))
    assert wrong_exposures(manifest, project) == [
        "exposure old has the source notebooks/old.ipynb, which is no dashboard"
    ]
