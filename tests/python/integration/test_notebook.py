"""The notebook, run from top to bottom on a small build that was published."""

import json
import re

import pytest

from integration.harness import PROJECT
from manyfaces.publish import publish

nbformat = pytest.importorskip("nbformat", reason="the extra notebook is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra notebook is not installed")
pytest.importorskip("ipykernel", reason="the extra notebook is not installed")
pytest.importorskip("vl_convert", reason="the extra notebook is not installed")

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
PNG = "image/png"


def test_there_is_a_notebook():
    assert NAMES == ["tour"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_kept_without_outputs_and_without_traces_of_a_machine(path):
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not re.search(r"[\"' (](/\w+/|[A-Z]:\\\\|~/)", path.read_text())


@pytest.fixture(scope="module")
def executed(planted, tmp_path_factory):
    """Each notebook after its run, in a folder that holds nothing but a published file."""
    folder = tmp_path_factory.mktemp("notebook")
    publish(planted.first.database, folder / "serving.duckdb")
    found = {}
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(folder)}}
        nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
        found[path.stem] = notebook
    return found


def outputs(notebook, kind):
    return [
        output["data"][kind]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if kind in output.get("data", {})
    ]


def printed(notebook):
    return "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


def test_the_tour_draws_every_chart(executed):
    # Those with axes and no data are below 10,000 characters.
    sizes = [len(picture) for picture in outputs(executed["tour"], PNG)]
    charts = sum("alt.Chart(" in cell.source for cell in executed["tour"].cells)
    assert len(sizes) == charts == 7
    assert min(sizes) > 10_000, sizes


def test_the_tour_says_what_the_build_says(executed, planted):
    tour = executed["tour"]
    as_of = planted.first.value("select as_of from features.wall")
    assert f"Build as of {as_of}, segments of taste" in printed(tour)
    rows = planted.first.value("select count(*) from marts.segments where segmentation = 'taste'")
    texts = outputs(tour, "text/plain")
    assert any(text.startswith(f"shape: ({rows}, 4)") for text in texts)
    # Five rows of two lists of one user.
    assert any(text.startswith("shape: (10, 5)") for text in texts)
    share = planted.first.value(
        """
        select sum(spend) filter (where place <= users / 5) / sum(spend)
        from (
            select sum(amount) as spend, row_number() over (order by sum(amount) desc) as place,
                count(*) over () as users
            from features.events group by user_key having sum(amount) > 0
        )
        """
    )
    assert f"The best fifth of the users make {share:.0%} of the spend" in printed(tour)
