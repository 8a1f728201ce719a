"""Measures the collaborative candidates of all users of a big made-up catalogue: time and memory.

Run by hand; benchmarks/README.md has the figures. The method is the one that a build would take for a matrix
of this size, and so is everything behind it. Nothing is written.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence

from manyfaces.threads import set_thread_environment

set_thread_environment()

import numpy as np  # noqa: E402
import yaml  # noqa: E402
from bench import ROOT  # noqa: E402
from scipy import sparse  # noqa: E402

from manyfaces.recommendations import choice  # noqa: E402

TASTES = 50
MAX_ITEMS_PER_USER = 1000


def simulated_matrix(users: int, items: int, events: int, seed: int) -> sparse.csr_array:
    """Draw who takes what: few users with long histories, few items that many take, and tastes.

    Half of a user's draws fall on items of that user's taste, a fiftieth of all. Draws of one item by
    one user add up, so there are fewer entries than events.

    Returns:
        (users, items) float32 affinities, items by falling popularity.
    """
    random = np.random.default_rng(seed)
    lengths = random.lognormal(0, 1, users)
    lengths = np.clip(np.rint(lengths * events / lengths.sum()), 1, MAX_ITEMS_PER_USER).astype(np.int64)
    popularity = np.cumsum(1 / (np.arange(items) + 20.0) ** 0.8)
    total = int(lengths.sum())
    columns = np.searchsorted(popularity, random.random(total) * popularity[-1]).astype(np.int32)
    tastes = np.repeat(random.integers(0, TASTES, users, dtype=np.int32), lengths)
    by_taste = random.random(total, np.float32) < 0.5
    moved = columns - columns % TASTES + tastes
    columns = np.where(by_taste & (moved < items), moved, columns)
    matrix = sparse.csr_array(
        (np.ones(total, np.float32), columns, np.concatenate([[0], np.cumsum(lengths)])), shape=(users, items)
    )
    matrix.sum_duplicates()
    return matrix


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Choose a method as a build does, run it on a simulated matrix and say what it took."""
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    matrix = simulated_matrix(arguments.users, arguments.items, arguments.events, settings["seed"])
    held = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    chosen = choice.choose_method(
        *matrix.shape,
        matrix.nnz,
        asked=arguments.method,
        max_items=settings["collaborative_max_items"],
        memory_mb=settings["collaborative_memory_mb"],
    )
    ranked = choice.collaborative_candidates(
        matrix,
        matrix,
        np.ones(arguments.items, bool),
        count=arguments.count,
        choice=chosen,
        regularisation=settings["ease_regularisation"],
        max_items=settings["collaborative_max_items"],
        seed=settings["seed"],
    )
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    is_new = ~ranked["is_repeat"]
    per_user = np.bincount(ranked["user_index"][is_new], minlength=arguments.users)
    # Linux counts in KiB, macOS in bytes.
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return {
        "users": arguments.users,
        "items": arguments.items,
        "entries": int(matrix.nnz),
        "list_length": arguments.count,
        "method": choice.ALGORITHMS[chosen.method],
        "reason": chosen.reason,
        "cpu_seconds": round(used.ru_utime + used.ru_stime - held.ru_utime - held.ru_stime, 1),
        "wall_seconds": round(wall, 1),
        "peak_memory_gib": round(used.ru_maxrss / unit, 2),
        "rows": len(ranked["score"]),
        "users_with_full_list": int((per_user == arguments.count).sum()),
        "new_items_in_lists": len(np.unique(ranked["item_index"][is_new])),
        "load_average": round(os.getloadavg()[0], 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--events", type=int, default=50_000_000, help="draws; a few of them fall together")
    parser.add_argument("--count", type=int, default=50, help="new, and repeated, items of a user at most")
    parser.add_argument(
        "--method", default="auto", help=", ".join(m for m in choice.METHODS if m != "variational")
    )
    print(json.dumps(measure(parser.parse_args(arguments)), indent=2))


if __name__ == "__main__":
    main()
