"""Judges the lists of the peers and of Manyfaces with the project's evaluation models, and prints tables.

On the databases of prepare.py, at the same wall: builds everything, lets the evaluation models judge the
lists that compare.py left, and runs the recommendation models once more in a process of their own. The
processor seconds of a run that makes one view are dbt's own: start, reading the project, connecting. What the
run of the recommendation models takes above them is their work.

It runs in the environment of the project.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
from prepare import DATA_SETS, FOLDER, Build

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import last_lines, read_run_results, run_measured

from manyfaces.backtest import LENGTHS

RESULTS = Path(__file__).with_name("results.json")
MODELS = "recommendations"
ONE_VIEW = ["events"]
EVALUATION = [f"+path:{folder}/evaluation/backtest" for folder in ("models", "python_models")]
# The figures of the tables: lists cut at 20, items with enough users before the wall, every user who has one
# of them after it.
QUALITY = """
    select strategy, list, users, ndcg, ndcg_low, ndcg_high, recall, hit_rate
    from evaluation.quality_at_wall
    where scope = 'supported' and k = 20 and group_kind = 'all'
"""
BLEND = "blend"
WITH_SEEDS = ("build", "--resource-type", "model", "seed")


def run_models(
    build: Build, variables: dict[str, Any], label: str, select: list[str], *command: str
) -> dict[str, Any]:
    """Run models in a process of their own; what it took, and the seconds of each model."""
    log = build.folder / "runs" / f"dbt_{label}.log"
    log.parent.mkdir(exist_ok=True)
    measured = run_measured(
        build.dbt(variables, *(command or ("run",)), "--select", *select), log, build.environment
    )
    if measured["exit_code"]:
        raise SystemExit(f"judge: dbt run failed:\n{last_lines(log)}")
    described = read_run_results(build.folder / "target")
    return measured | {
        "busy_seconds": described["busy_seconds"],
        "models": {node["node"]: round(node["seconds"], 3) for node in described["nodes"]},
    }


def measure_warehouse(build: Build, variables: dict[str, Any]) -> dict[str, Any]:
    """Run the recommendation models on what is built; dbt apart from their work."""
    # dbt reads the project again where settings changed: not a thing of these models.
    run_models(build, variables, "warm", ONE_VIEW)
    load = os.getloadavg()[0]
    dbt = run_models(build, variables, "alone", ONE_VIEW)
    models = run_models(build, variables, MODELS, [MODELS])
    work = {name: models[name] - dbt[name] for name in ("cpu_seconds", "seconds")}
    return {"load": load, "steps": {"dbt": dbt, "recommend": work}, "process": models}


def quality(build: Build, variables: dict[str, Any]) -> list[dict[str, Any]]:
    """Build everything at the wall, and judge all lists by what came after it."""
    lists = {"backtest": True, "peer_lists": str(build.folder / "lists" / "*.parquet")}
    run_models(build, variables | lists, "evaluation", [*EVALUATION, f"+{MODELS}"], *WITH_SEEDS)
    with duckdb.connect(str(build.database), read_only=True) as connection:
        cursor = connection.execute(QUALITY)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def judge(folder: Path, changed: dict[str, Any]) -> dict[str, Any]:
    """Return what is known about a data set: quality and cost of each peer and of the warehouse."""
    build = Build(folder)
    described = json.loads((folder / "data.json").read_text())
    # As with `manyfaces backtest --wall`, everything after the wall is looked at.
    variables = described["variables"] | LENGTHS | {"backtest_days": described["test_days"]} | changed
    found = quality(build, variables)
    peers = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.peer"))}
    return {
        "data": described,
        "settings": changed,
        "quality": found,
        "peers": peers,
        "warehouse": measure_warehouse(build, variables),
    }


# --- tables ---------------------------------------------------------------------------------------


def spent(result: dict[str, Any], start: str) -> float:
    """Return the processor seconds of the steps whose names start so, for one fit where there were two."""
    seconds = [step["cpu_seconds"] for name, step in result["steps"].items() if name.startswith(start)]
    return sum(seconds) / (len(seconds) if start == "fit" else 1)


def table(name: str, result: dict[str, Any]) -> str:
    """Return the quality and cost of a data set as Markdown."""
    figures = {(row["strategy"], row["list"]): row for row in result["quality"]}
    lines = [
        f"| {name} | for_you NDCG@20 | Recall@20 | discover NDCG@20 | Recall@20 "
        "| fit CPU s | recommend CPU s | peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for strategy in [*result["peers"], BLEND]:
        cells = [
            f"{figures[strategy, of_list][metric]:.4f}" if (strategy, of_list) in figures else "-"
            for of_list in ("for_you", "discover")
            for metric in ("ndcg", "recall")
        ]
        if strategy == BLEND:
            warehouse = result["warehouse"]
            dbt, work = (warehouse["steps"][step]["cpu_seconds"] for step in ("dbt", "recommend"))
            cost = ["-", f"{work:.1f} + {dbt:.1f} dbt", f"{warehouse['process']['peak_memory_mb']:.0f}"]
        else:
            peer = result["peers"][strategy]
            cost = [f"{spent(peer, step):.1f}" for step in ("fit", "recommend")]
            cost.append(f"{peer['process']['peak_memory_mb']:.0f}")
        label = "**Manyfaces**" if strategy == BLEND else strategy
        lines.append(f"| {label} | {' | '.join([*cells, *cost])} |")
    return "\n".join(lines)


def main() -> None:
    """Judge the data sets that are asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what prepare.py and compare.py wrote")
    parser.add_argument("--vars", type=json.loads, default={}, help="settings of the project, as JSON")
    arguments = parser.parse_args()
    for name in arguments.data:
        folder = arguments.folder.resolve() / name
        if not (folder / "data.json").exists():
            print(f"judge | {name}: skipped, prepare.py has not written it", file=sys.stderr)
            continue
        result = judge(folder, arguments.vars)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(results | {name: result}, indent=2) + "\n")
        print(table(name, result), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
