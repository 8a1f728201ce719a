"""Measures what the lists of Manyfaces cost beside those of the peers: dbt itself apart from its models.

    .venv/bin/python benchmarks/peers/warehouse.py --data online_retail

On the databases of prepare.py, at the same wall: builds everything, then runs the recommendation models once
more in a process of their own. The processor seconds of a run that makes one view are dbt's own: start, reading
the project, connecting. What the run of the recommendation models takes above them is their work.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
from prepare import DATA_SETS, FOLDER, Build

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import last_lines, read_run_results, run_measured

MODELS = "recommendations"
ONE_VIEW = "events"
LISTS = """
    select
        'manyfaces' as strategy,
        user_lists.list,
        user_lists.user_key,
        row_number() over (
            partition by user_lists.list, user_lists.user_key order by user_lists.rank
        ) as rank,
        user_lists.item_id
    from recommendations.user_lists
    inner join features.matrix_items on user_lists.item_id = matrix_items.item_id
"""


def run_models(build: Build, variables: dict[str, Any], select: str) -> dict[str, Any]:
    """Run models in a process of their own; what it took, and the seconds of each model."""
    log = build.folder / "runs" / f"dbt_{select}.log"
    log.parent.mkdir(exist_ok=True)
    command = build.dbt(variables, "run", "--select", select)
    measured = run_measured(command, log, build.environment)
    if measured["exit_code"]:
        raise SystemExit(f"warehouse: dbt run failed:\n{last_lines(log)}")
    described = read_run_results(build.folder / "target")
    return measured | {
        "busy_seconds": described["busy_seconds"],
        "models": {node["node"]: round(node["seconds"], 3) for node in described["nodes"]},
    }


def measure(folder: Path, changed: dict[str, Any]) -> dict[str, Any]:
    """Build a data set at its wall, run its recommendation models again, and write their lists.

    The result has the form of a peer's: the steps with their processor seconds, and what the process took.
    """
    build = Build(folder)
    variables = json.loads((folder / "data.json").read_text())["variables"] | changed
    subprocess.run(
        build.dbt(variables, "run", "--select", f"+{MODELS}", "--quiet"), env=build.environment, check=True
    )
    # dbt reads the project again where settings changed, and only then.
    run_models(build, variables, ONE_VIEW)
    dbt = run_models(build, variables, ONE_VIEW)
    recommendations = run_models(build, variables, MODELS)
    (folder / "lists").mkdir(exist_ok=True)
    with duckdb.connect(str(build.database), read_only=True) as connection:
        connection.execute(f"copy ({LISTS}) to '{folder / 'lists' / 'manyfaces.parquet'}'")
    steps = {
        "read": {"cpu_seconds": dbt["cpu_seconds"], "seconds": dbt["seconds"]},
        "recommend": {name: recommendations[name] - dbt[name] for name in ("cpu_seconds", "seconds")},
    }
    return {
        "steps": steps,
        "process": recommendations,
        "models": recommendations["models"],
        "settings": changed,
    }


def main() -> None:
    """Measure the data sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what prepare.py wrote")
    parser.add_argument("--vars", type=json.loads, default={}, help="settings of the project, as JSON")
    arguments = parser.parse_args()
    for name in arguments.data:
        folder = arguments.folder.resolve() / name
        if not (folder / "data.json").exists():
            print(f"warehouse | {name}: skipped, prepare.py has not written it", file=sys.stderr)
            continue
        result = measure(folder, arguments.vars)
        (folder / "runs" / "measure_manyfaces.json").write_text(json.dumps(result, indent=2))
        print(f"\n{name}: {json.dumps(result['steps'])}\n")
        print("| model | seconds |\n|---|---:|")
        for model, seconds in result["models"].items():
            print(f"| {model} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
