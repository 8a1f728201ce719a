"""The page that `make docs` writes: one file, with everything in it."""

import json
import re

import pytest


@pytest.fixture(scope="module")
def page(planted):
    planted.workspace.build(("docs", "generate", "--static"))
    return (planted.workspace.folder / "target" / "static_index.html").read_text()


def test_the_page_fetches_nothing(page):
    assert re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=[\"']?(?:https?:)?//", page) == []
    assert re.findall(r"<link[^>]*rel=[\"']?stylesheet[^>]*href=[\"']?(?:https?:)?//", page) == []


def test_the_page_holds_the_overview_and_every_table_with_its_types(page, planted):
    manifest = json.loads((planted.workspace.folder / "target" / "manifest.json").read_text())
    overview = manifest["docs"]["doc.manyfaces.__overview__"]["block_contents"]
    assert "inputs |-->| staging" in overview
    catalog = json.loads((planted.workspace.folder / "target" / "catalog.json").read_text())
    marts = [
        name
        for (name,) in planted.first.rows(
            "select table_name from duckdb_tables() where schema_name = 'marts' "
            "union select view_name from duckdb_views() where schema_name = 'marts'"
        )
    ]
    assert len(marts) > 40
    for name in marts:
        assert f"model.manyfaces.{name}" in catalog["nodes"]
    # Both are part of the page.
    assert json.dumps(overview)[1:60] in page
    assert catalog["nodes"]["model.manyfaces.segments"]["metadata"]["comment"][:60] in page
