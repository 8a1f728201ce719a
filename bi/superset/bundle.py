"""Makes the dashboard bundle that Superset imports: the YAML of bundle/, filled in from a serving file.

The YAML holds what no table says: charts, places, names for people. What the tables say themselves (types
and descriptions of tables and columns) and where the file is comes from the serving file, so that each has
one place. Run it to write a zip for another Superset; serve.py uses it for the one on this machine.
"""

import argparse
import sys
import zipfile
from pathlib import Path

import duckdb
import yaml

from manyfaces.errors import UserError, database_error

BUNDLE = Path(__file__).resolve().parent / "bundle"
# The one folder at the top of the zip.
TOP = "manyfaces"
TEMPORAL = ("DATE", "TIMESTAMP")
# Told apart also by those who see few colours: Tol's muted scheme, then his bright one.
COLOURS = [
    *("#332288", "#88CCEE", "#44AA99", "#DDCC77", "#CC6677", "#117733", "#AA4499", "#882255", "#999933"),
    *("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB"),
]
# What the dataset segment_migrations puts behind the name of a segment where users went.
AFTER = "\u200b"

Contents = dict[str, dict]


def read_bundle(folder: Path = BUNDLE) -> Contents:
    """Return the YAML files of a bundle by their path in it."""
    return {
        path.relative_to(folder).as_posix(): yaml.safe_load(path.read_text())
        for path in sorted(folder.rglob("*.yaml"))
    }


def fill(bundle: Contents, serving: Path) -> Contents:
    """Fill in what only the serving file knows.

    Args:
        bundle: as read_bundle returns it.
        serving: the file that Superset will open.

    Raises:
        UserError: the file is missing, is no DuckDB database, or lacks a table or column that is used.
    """
    serving = serving.absolute()
    with _open(serving) as connection:
        # Datasets first: they say in plain words what an older file lacks.
        paths = sorted(bundle, key=lambda path: not path.startswith("datasets/"))
        return {path: _filled(path, bundle, serving, connection) for path in paths}


def write_zip(contents: Contents, target: Path) -> None:
    """Write a filled bundle as Superset imports it."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            archive.writestr(f"{TOP}/{path}", to_yaml(content))


def to_yaml(content: dict) -> str:
    """Return the text of a file of the bundle."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _open(serving: Path) -> duckdb.DuckDBPyConnection:
    if not serving.is_file():
        raise UserError(
            f"there is no file {serving}: run `make publish` first, or name another with SERVING=FILE"
        )
    try:
        return duckdb.connect(serving, read_only=True)
    except duckdb.Error as error:
        raise database_error(error, serving, is_published=True) or error from error


def _filled(path: str, bundle: Contents, serving: Path, connection: duckdb.DuckDBPyConnection) -> dict:
    content = bundle[path]
    if path.startswith("databases/"):
        return content | {"sqlalchemy_uri": content["sqlalchemy_uri"].format(serving=serving)}
    if path.startswith("datasets/"):
        return _filled_dataset(content, serving, connection)
    if path.startswith("dashboards/"):
        return _filled_dashboard(content, bundle, connection)
    return content


def _filled_dataset(dataset: dict, serving: Path, connection: duckdb.DuckDBPyConnection) -> dict:
    schema, table = dataset["schema"], dataset["table_name"]
    found = connection.execute(
        "select comment from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]
    ).fetchone()
    if found is None:
        raise UserError(f"{serving.name} has no table {schema}.{table}: build and publish it anew")
    columns = connection.execute(
        """
        select column_name, data_type, comment
        from duckdb_columns()
        where schema_name = ? and table_name = ?
        order by column_index
        """,
        [schema, table],
    ).fetchall()
    given = {column["column_name"]: column for column in dataset["columns"]}
    calculated = {name: column for name, column in given.items() if "expression" in column}
    unknown = sorted(given.keys() - calculated.keys() - {name for name, _, _ in columns})
    if unknown:
        raise UserError(
            f"{serving.name} has no column {schema}.{table}.{unknown[0]}: build and publish it anew"
        )
    filled = [
        {
            "column_name": name,
            "verbose_name": given.get(name, {}).get("verbose_name", readable(name)),
            "description": comment,
            "type": data_type,
            "is_dttm": data_type in TEMPORAL,
            "groupby": True,
            "filterable": True,
        }
        for name, data_type, comment in columns
    ]
    filled += [{"groupby": True, "filterable": True, **column} for column in calculated.values()]
    return dataset | {"description": found[0], "columns": filled}


def _filled_dashboard(dashboard: dict, bundle: Contents, connection: duckdb.DuckDBPyConnection) -> dict:
    """Give segments colours; let a filter whose default is not in the tables begin with the first value."""
    datasets = {content["uuid"]: content for path, content in bundle.items() if path.startswith("datasets/")}
    metadata = dashboard["metadata"]
    filters = [
        _with_known_default(each, datasets[each["targets"][0]["datasetUuid"]], connection)
        for each in metadata["native_filter_configuration"]
    ]
    colours = metadata["label_colors"] | _segment_colours(connection)
    changed = {"native_filter_configuration": filters, "label_colors": colours}
    return dashboard | {"metadata": metadata | changed}


def _segment_colours(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Give the segments of each segmentation different colours, as far as there are, the largest first.

    Superset by itself gives them out in the order in which charts arrive, and twice.
    """
    segments = connection.execute(
        """
        select
            name,
            row_number() over (partition by segmentation order by is_unassigned, users desc, segment_id)
        from marts.segments
        order by segmentation, segment_id
        """
    ).fetchall()
    return {
        f"{name}{suffix}": COLOURS[(number - 1) % len(COLOURS)]
        for name, number in segments
        for suffix in ("", AFTER)
    }


def _with_known_default(each: dict, dataset: dict, connection: duckdb.DuckDBPyConnection) -> dict:
    default = each["defaultDataMask"]["filterState"].get("value")
    if not default:
        return each
    column = each["targets"][0]["column"]["name"]
    known = connection.execute(
        f'select count(*) from {dataset["schema"]}.{dataset["table_name"]} where "{column}" = ?', default
    ).fetchone()[0]
    if known:
        return each
    return each | {
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "controlValues": each["controlValues"] | {"defaultToFirstItem": True},
    }


def readable(name: str) -> str:
    """Return the name of a column for people: basket_amount is Basket amount."""
    return name.replace("_", " ").capitalize()


def main() -> int:
    """Write the zip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--database", metavar="FILE", type=Path, default=Path("serving.duckdb"))
    parser.add_argument("--to", metavar="FILE", type=Path, default=Path("manyfaces_superset.zip"))
    options = parser.parse_args()
    try:
        write_zip(fill(read_bundle(), options.database), options.to)
    except UserError as error:
        print(f"superset: {error}", file=sys.stderr)
        return 2
    print(f"{options.to}: import it in Superset under Dashboards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
