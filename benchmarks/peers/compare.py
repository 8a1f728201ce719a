"""Runs the peers on the prepared data sets, judges their lists, and prints a table.

    .venv/bin/python compare.py            every peer with the settings of settings.json
    .venv/bin/python compare.py --tune     look for the settings first, on a split before the wall

It runs in the environment of the peers. This process stays small and starts everything that it measures as a
process of its own, because the peak memory of a child counts what its parent held when it was started.
"""

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import last_lines, run_measured  # noqa: E402
from peers import LISTS, PEERS, THREADS  # noqa: E402

SETTINGS = HERE / "settings.json"
RESULTS = HERE / "results.json"
DATA_SETS = ("complete_journey", "online_retail", "simulated_1m", "simulated_10m")
# A large simulated set takes over what was found on the small one.
TUNED_ON = {"simulated_10m": "simulated_1m"}
# These would run for an hour.
LEFT_OUT = {"simulated_10m": ("lenskit_item_knn", "lenskit_als")}
PACKAGES = ("implicit", "lenskit", "numpy", "scipy", "torch")
K = 20

# implicit shares its threads out itself, and asks that BLAS does not do it, too.
OWN_THREADS = ("implicit_item_knn", "implicit_als", "implicit_bpr")


def environment(peer: str) -> dict[str, str]:
    """Return the thread settings of a peer: two cores for each."""
    blas = "1" if peer in OWN_THREADS else str(THREADS)
    return {
        "OMP_NUM_THREADS": str(THREADS),
        "OPENBLAS_NUM_THREADS": blas,
        "MKL_NUM_THREADS": blas,
        "LK_NUM_PROCS": "1",
        "LK_NUM_THREADS": str(THREADS),
        "LK_NUM_BACKEND_THREADS": str(THREADS),
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
    }


def run_peer(task: str, peer: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a task of peers.py in a process of its own; its result and what the whole process took."""
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    log, result = runs / f"{task}_{peer}.log", runs / f"{task}_{peer}.json"
    command = [sys.executable, str(HERE / "peers.py"), task, peer, str(folder), "--result", str(result)]
    process = run_measured([*command, *arguments], log, environment(peer))
    if process["exit_code"]:
        raise SystemExit(f"peers: {peer} failed:\n{last_lines(log)}")
    return json.loads(result.read_text()) | {"process": process}


def say(message: str) -> None:
    """Print progress to stderr, so that standard output is only the tables."""
    print(f"peers | {message}", file=sys.stderr, flush=True)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file holds, or nothing where there is no file."""
    return json.loads(path.read_text()) if path.exists() else {}


def tune(name: str, folder: Path, peers: list[str]) -> None:
    """Find the settings of the peers for a data set and keep them in settings.json."""
    for peer in peers:
        say(f"{name}: looking for the settings of {peer}")
        found = run_peer("tune", peer, folder)
        settings = read_json(SETTINGS)
        settings.setdefault(name, {})[peer] = found["best"]
        SETTINGS.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def settings_of(name: str, peer: str) -> dict[str, Any]:
    """Return the settings by list that were found before the wall."""
    return read_json(SETTINGS)[TUNED_ON.get(name, name)][peer]


# --- quality --------------------------------------------------------------------------------------

QUALITY = f"""
    with relevant as (
        select 'for_you' as list, user_key, item_id from '{{folder}}/relevant.parquet' where is_supported
        union all
        select 'discover' as list, user_key, item_id
        from '{{folder}}/relevant.parquet'
        where is_supported and is_new
    ),

    users as (
        select list, user_key, count(*) as items from relevant group by list, user_key
    ),

    discounts as (
        select
            cast(place as bigint) as place,
            1 / log2(place + 1) as gain,
            sum(1 / log2(place + 1)) over (order by place) as ideal
        from range(1, {K} + 1) as places(place)
    ),

    hits as (
        select lists.list, lists.user_key, count(*) as hits, sum(discounts.gain) as gain
        from '{{lists}}' as lists
        inner join relevant using (list, user_key, item_id)
        inner join discounts on lists.rank = discounts.place
        group by lists.list, lists.user_key
    )

    select
        users.list,
        count(*) as users,
        avg(coalesce(hits.gain, 0) / discounts.ideal) as ndcg,
        avg(coalesce(hits.hits, 0) / users.items) as recall,
        avg(case when hits.hits > 0 then 1 else 0 end) as hit_rate
    from users
    inner join discounts on least(users.items, {K}) = discounts.place
    left join hits using (list, user_key)
    group by users.list
"""


def quality(lists: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Return by list the metrics at 20 of a peer's lists: supported items, users with a relevant item."""
    import duckdb

    rows = duckdb.execute(QUALITY.format(lists=lists, folder=folder)).fetchall()
    return {
        name: {"users": users, "ndcg": ndcg, "recall": recall, "hit_rate": hit_rate}
        for name, users, ndcg, recall, hit_rate in rows
    }


# --- tables ---------------------------------------------------------------------------------------


def spent(result: dict[str, Any], start: str) -> float:
    """Return the processor seconds of the steps whose names start so."""
    return sum(step["cpu_seconds"] for name, step in result["steps"].items() if name.startswith(start))


def table(name: str, results: dict[str, Any]) -> str:
    """Return the results of a data set as Markdown."""
    lines = [
        f"| {name} | for_you NDCG@20 | Recall@20 | discover NDCG@20 | Recall@20 "
        "| fit CPU s | recommend CPU s | peak MB | read CPU s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for peer, result in results.items():
        figures = [
            f"{result['quality'][of_list][metric]:.4f}" for of_list in LISTS for metric in ("ndcg", "recall")
        ]
        fits = sum(step.startswith("fit") for step in result["steps"])
        lines.append(
            f"| {peer} | {' | '.join(figures)} | {spent(result, 'fit') / fits:.1f} "
            f"| {spent(result, 'recommend'):.1f} | {result['process']['peak_memory_mb']:.0f} "
            f"| {spent(result, 'read'):.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the peers that are asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=DATA_SETS, metavar="NAME")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=HERE / "data", help="what prepare.py wrote")
    parser.add_argument("--length", type=int, default=100, help="items in a list (%(default)s)")
    parser.add_argument("--tune", action="store_true", help="look for the settings first")
    arguments = parser.parse_args()
    results = read_json(RESULTS)
    for name in arguments.data:
        folder = arguments.folder.resolve() / name
        if not (folder / "data.json").exists():
            say(f"{name}: skipped, prepare.py has not written it")
            continue
        peers = [peer for peer in arguments.peers if peer not in LEFT_OUT.get(name, ())]
        if arguments.tune and name not in TUNED_ON:
            tune(name, folder, peers)
        entry = results.setdefault(name, {"data": read_json(folder / "data.json"), "peers": {}})
        for peer in peers:
            lists = folder / "lists" / f"{peer}.parquet"
            lists.parent.mkdir(exist_ok=True)
            load = os.getloadavg()[0]
            entry["peers"][peer] = run_peer(
                "measure",
                peer,
                folder,
                *("--settings", json.dumps(settings_of(name, peer))),
                *("--length", str(arguments.length), "--lists", str(lists)),
            ) | {"load": load}
            say(f"{name}: {peer}, {entry['peers'][peer]['process']['cpu_seconds']:.1f} CPU seconds")
    # Only now, because it makes this process larger.
    for name in arguments.data:
        for peer, result in results.get(name, {}).get("peers", {}).items():
            folder = arguments.folder.resolve() / name
            result["quality"] = quality(folder / "lists" / f"{peer}.parquet", folder)
        if name in results:
            print(table(name, results[name]["peers"]), end="\n\n")
    results["packages"] = {package: version(package) for package in PACKAGES}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
