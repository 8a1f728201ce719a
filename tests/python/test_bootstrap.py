import numpy as np
import polars as pl
import pytest

from manyfaces.evaluation import bootstrap
from manyfaces.evaluation.bootstrap import percentile_interval, resampled_means
from manyfaces.evaluation.tables import INTERVAL_SCHEMA, metric_intervals_table


def made_up(users=200, seed=3):
    return np.random.default_rng(seed).random((users, 3)).round(6)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = made_up(users=2_000)
    interval = percentile_interval(resampled_means(values, 4_000, seed=1))
    margin = 1.96 * values.std(axis=0) / np.sqrt(len(values))
    np.testing.assert_allclose(interval.low, values.mean(axis=0) - margin, atol=0.05 * margin[0])
    np.testing.assert_allclose(interval.high, values.mean(axis=0) + margin, atol=0.05 * margin[0])


def test_differences_are_paired():
    values = made_up()[:, :1]
    samples = resampled_means(np.hstack([values, values + 0.25]), 100, seed=1)
    np.testing.assert_allclose(samples[:, 1] - samples[:, 0], 0.25)
    assert samples[:, 0].std() > 0.01


def test_samples_depend_on_the_seed_and_not_on_the_blocks(monkeypatch):
    values = made_up()
    whole = resampled_means(values, 50, seed=1)
    assert not np.allclose(whole, resampled_means(values, 50, seed=2))
    monkeypatch.setattr(bootstrap, "_BLOCK_DRAWS", 7 * len(values))
    np.testing.assert_allclose(resampled_means(values, 50, seed=1), whole, rtol=1e-12)


def test_nobody_cannot_be_resampled():
    with pytest.raises(ValueError, match="at least one user"):
        resampled_means(np.zeros((0, 2)), 10, seed=1)


def metrics(strategies, users=60, family="strategy"):
    generator = np.random.default_rng(5)
    return pl.DataFrame(
        [
            {
                "family": family,
                "list": "for_you",
                "scope": "all",
                "strategy": strategy,
                "k": 20,
                "user_number": user,
                "ndcg": round(min(1.0, gain + noise), 6),
            }
            for user, noise in enumerate(generator.random(users) / 2)
            for strategy, gain in strategies.items()
        ]
    )


def groups(users=60):
    everybody = [("all", "all", user) for user in range(users)]
    first = [("history", "0", user) for user in range(10)]
    rows = [*everybody, *first, ("history", "20+", 10_000)]
    return pl.DataFrame(rows, schema=["group_kind", "group_value", "user_number"], orient="row")


def intervals(table, **changes):
    return metric_intervals_table(table, groups(), **{"replicates": 200, "seed": 7} | changes)


def test_every_group_has_its_means_and_differences_to_popularity():
    table = metrics({"blend": 0.3, "popular": 0.1})
    found = intervals(table)
    assert dict(found.schema) == INTERVAL_SCHEMA
    # Nobody of the group 20+ has anything to find.
    assert found.select("group_value", "strategy", "reference").rows() == [
        ("all", "blend", None),
        ("all", "blend", "popular"),
        ("all", "popular", None),
        ("0", "blend", None),
        ("0", "blend", "popular"),
        ("0", "popular", None),
    ]
    first = table.filter(pl.col("user_number") < 10, strategy="blend")["ndcg"].mean()
    row = found.row(by_predicate=(pl.col("group_value") == "0") & (pl.col("strategy") == "blend")
        & pl.col("reference").is_null(), named=True)  # fmt: skip
    assert row["ndcg"] == pytest.approx(first, abs=1e-6)
    assert row["low"] < row["ndcg"] < row["high"]
    difference = found.row(1, named=True)
    # Both get the same noise, so the paired difference is sure.
    assert (difference["low"], difference["ndcg"], difference["high"]) == pytest.approx((0.2, 0.2, 0.2))


def test_segmentations_are_compared_with_none_demographic_and_rfm():
    found = intervals(metrics({"none": 0.1, "rfm": 0.2, "taste": 0.3}, family="segmentation"))
    compared = found.filter(pl.col("reference").is_not_null(), group_kind="all")
    assert compared.select("strategy", "reference").rows() == [
        ("none", "rfm"),
        ("rfm", "none"),
        ("taste", "none"),
        ("taste", "rfm"),
    ]


def test_another_strategy_and_the_order_of_rows_change_no_interval():
    table = metrics({"blend": 0.3, "popular": 0.1})
    more = metrics({"another": 0.2, "blend": 0.3, "popular": 0.1}).sample(fraction=1, shuffle=True, seed=1)
    assert intervals(more).filter(pl.col("strategy") != "another").equals(intervals(table))


def test_no_users_give_an_empty_table_of_the_same_columns():
    nothing = metrics({"blend": 0.3}).clear()
    assert dict(intervals(nothing).schema) == INTERVAL_SCHEMA
    assert intervals(nothing).is_empty()
