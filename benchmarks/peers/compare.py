"""Runs the peers on the prepared data sets: lists, and what they took, for judge.py.

    .venv/bin/python compare.py            every peer, with settings.json; what it lacks is looked for
    .venv/bin/python compare.py --tune     look for all settings anew, on a split before the wall

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
from peers import PEERS, THREADS  # noqa: E402

SETTINGS = HERE / "settings.json"
DATA_SETS = ("complete_journey", "online_retail", "simulated_1m", "simulated_10m")
# A large simulated set takes over what was found on the small one.
TUNED_ON = {"simulated_10m": "simulated_1m"}
# One user after the other through a pipeline: these would run for an hour.
LEFT_OUT = {"simulated_10m": ("lenskit_item_knn", "lenskit_als", "lenskit_ease")}
PACKAGES = ("implicit", "lenskit", "numpy", "scipy", "torch")

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
    """Print progress."""
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


def main() -> None:
    """Run the peers that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA_SETS, default=DATA_SETS, metavar="NAME")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=HERE / "data", help="what prepare.py wrote")
    parser.add_argument("--length", type=int, default=100, help="items in a list (%(default)s)")
    parser.add_argument("--tune", action="store_true", help="look for all settings anew")
    arguments = parser.parse_args()
    for name in arguments.data:
        folder = arguments.folder.resolve() / name
        if not (folder / "data.json").exists():
            say(f"{name}: skipped, prepare.py has not written it")
            continue
        peers = [peer for peer in arguments.peers if peer not in LEFT_OUT.get(name, ())]
        if name not in TUNED_ON:
            found = read_json(SETTINGS).get(name, {})
            tune(name, folder, [peer for peer in peers if arguments.tune or peer not in found])
        (folder / "lists").mkdir(exist_ok=True)
        for peer in peers:
            load = os.getloadavg()[0]
            result = run_peer(
                "measure",
                peer,
                folder,
                *("--settings", json.dumps(settings_of(name, peer))),
                *("--length", str(arguments.length)),
                *("--lists", str(folder / "lists" / f"{peer}.parquet")),
            )
            result |= {"load": load, "versions": {package: version(package) for package in PACKAGES}}
            (folder / "runs" / f"{peer}.peer").write_text(json.dumps(result, indent=2))
            say(f"{name}: {peer}, {result['process']['cpu_seconds']:.1f} CPU seconds, load {load:.1f}")


if __name__ == "__main__":
    main()
