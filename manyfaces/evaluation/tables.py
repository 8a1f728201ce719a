"""From the metrics of users to intervals of their means: what the Python model of the layer calls."""

import zlib

import numpy as np
import polars as pl

from manyfaces.evaluation.bootstrap import percentile_interval, resampled_means

# With what each family is compared. `family` says what the strategies of a comparison differ in.
REFERENCES = {"strategy": ("popular",), "segmentation": ("none", "demographic", "rfm")}
KEYS = ("family", "list", "scope", "group_kind", "group_value")
INTERVAL_SCHEMA = {
    "family": pl.String,
    "list": pl.String,
    "scope": pl.String,
    "group_kind": pl.String,
    "group_value": pl.String,
    "strategy": pl.String,
    "k": pl.Int32,
    "reference": pl.String,
    "ndcg": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def metric_intervals_table(
    metrics: pl.DataFrame, groups: pl.DataFrame, *, replicates: int, seed: int
) -> pl.DataFrame:
    """Return 95 % intervals of mean NDCG, and of its differences to the references, group by group.

    Args:
        metrics: family, list, scope, strategy, k, user_number, ndcg; a row for every user of a list and
            scope, strategy and k.
        groups: group_kind, group_value, user_number.
        replicates: samples of the bootstrap.
        seed: seed of the draws. Each list, scope and group has draws of its own, which do not change when
            strategies are added.

    Returns:
        The columns of INTERVAL_SCHEMA, sorted by key. `reference` is null where `ndcg` is the mean itself,
        else the strategy whose mean is subtracted. Rounded to 6 digits.
    """
    members = {
        name: frame["user_number"].sort().to_numpy()
        for name, frame in groups.partition_by("group_kind", "group_value", as_dict=True).items()
    }
    found = [pl.DataFrame(schema=INTERVAL_SCHEMA)]
    parts = metrics.sort("strategy", "k", "user_number").partition_by("family", "list", "scope", as_dict=True)
    for key, part in sorted(parts.items()):
        columns = part.select("strategy", "k").unique(maintain_order=True).rows()
        users = part["user_number"].unique().sort().to_numpy()
        values = part["ndcg"].to_numpy().reshape(len(columns), len(users)).T
        for group, numbers in sorted(members.items()):
            rows = np.isin(users, numbers)
            name = "/".join([*key[1:], *group])
            if rows.any():
                own_seed = [seed, zlib.crc32(name.encode())]
                intervals = _intervals(key[0], columns, values[rows], replicates, own_seed)
                labels = dict(zip(KEYS, key + group, strict=True))
                intervals = intervals.with_columns(
                    pl.lit(value).alias(label) for label, value in labels.items()
                )
                found.append(intervals.select(INTERVAL_SCHEMA.keys()).cast(INTERVAL_SCHEMA))
    return pl.concat(found).sort(*KEYS, "strategy", "k", "reference", nulls_last=False)


def _intervals(
    family: str, columns: list[tuple[str, int]], values: np.ndarray, replicates: int, seed: list[int]
) -> pl.DataFrame:
    """Return strategy, k, reference, ndcg, low, high of values (users, columns)."""
    samples = resampled_means(values, replicates, seed)
    means = values.mean(axis=0)
    frames = [_frame(columns, None, means, samples)]
    place = {column: position for position, column in enumerate(columns)}
    for reference in REFERENCES[family]:
        kept = [
            position
            for position, (strategy, k) in enumerate(columns)
            if strategy != reference and (reference, k) in place
        ]
        if kept:
            others = [place[reference, columns[position][1]] for position in kept]
            frames.append(
                _frame(
                    [columns[position] for position in kept],
                    reference,
                    means[kept] - means[others],
                    samples[:, kept] - samples[:, others],
                )
            )
    return pl.concat(frames)


def _frame(
    columns: list[tuple[str, int]], reference: str | None, means: np.ndarray, samples: np.ndarray
) -> pl.DataFrame:
    interval = percentile_interval(samples)
    return pl.DataFrame(
        {
            "strategy": [strategy for strategy, _ in columns],
            "k": [k for _, k in columns],
            "reference": pl.Series([reference] * len(columns), dtype=pl.String),
            "ndcg": means.round(6),
            "low": interval.low.round(6),
            "high": interval.high.round(6),
        }
    )
