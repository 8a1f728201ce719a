"""Writes tests/fixtures/ranx_*.csv: random lists and the metrics that ranx gives them.

ranx needs numba, so it is no dependency of the project; the fixtures were made once, with ranx 0.3.21:

    python -m venv build/ranx && build/ranx/bin/pip install ranx
    build/ranx/bin/python benchmarks/ranx_fixtures.py
"""

import csv
from pathlib import Path

import numpy as np
from ranx import Qrels, Run, evaluate

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
CUTS = (5, 10, 20, 100)
METRICS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "ndcg": "ndcg",
    "average_precision": "map",
    "reciprocal_rank": "mrr",
}
LIST = {"family": "strategy", "strategy": "random", "list": "for_you", "scope": "all"}


def main() -> None:
    """Draw lists of 0 to 100 items and 1 to 40 relevant ones for a few users, and evaluate them."""
    generator = np.random.default_rng(7)
    lengths = (100, 100, 60, 30, 20, 12, 7, 1, 0)
    positions, relevant_items, relevant_counts, expected = [], [], [], []
    for user, length in enumerate(lengths, start=1):
        listed = generator.permutation(np.arange(1, 121))[:length]
        # The last list but one has no hit.
        candidates = np.arange(201, 221) if length == 1 else np.arange(1, 121)
        relevant = generator.permutation(candidates)[: generator.integers(1, 41)]
        positions += [
            LIST | {"user_number": user, "rank": rank, "item_number": item, "same_category_above": 0}
            for rank, item in enumerate(listed, start=1)
        ]
        relevant_items += [{"user_number": user, "item_number": item} for item in sorted(relevant)]
        relevant_counts.append(
            {"list": "for_you", "scope": "all", "user_number": user, "relevant": len(relevant)}
        )
        name = str(user)
        judgements = Qrels({name: {str(item): 1 for item in relevant}})
        # A list cannot be empty in ranx; an unknown item stands for it.
        run = Run({name: {str(item): 1000 - rank for rank, item in enumerate(listed)} or {"nothing": 1}})
        for k in CUTS:
            values = evaluate(judgements, run, [f"{metric}@{k}" for metric in METRICS.values()])
            expected.append(
                {"k": k, "user_number": user}
                | {name: f"{values[f'{metric}@{k}']:.6f}" for name, metric in METRICS.items()}
            )
    for name, rows in {
        "positions": positions,
        "relevant_items": relevant_items,
        "relevant_counts": relevant_counts,
        "metrics": expected,
    }.items():
        with (FOLDER / f"ranx_{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
