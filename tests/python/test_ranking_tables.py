"""From training examples to the tables of the ranker: schemas, lists, order of rows, and the store."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.special import expit

from manyfaces.recommendations import ranker
from manyfaces.recommendations.ranking import (
    BOOSTED_SCHEMA,
    WEIGHTS_SCHEMA,
    boosted_table,
    read_examples,
    weights_table,
)
from manyfaces.store import ArtifactStore

FEATURES = ["liking", "repeated"]
USERS, ITEMS = 300, 20


@pytest.fixture(scope="module")
def examples() -> pl.DataFrame:
    """Two segments of opposite likings; every fourth candidate is a repeat, and taken more often."""
    random = np.random.default_rng(2)
    users, items = (grid.ravel() for grid in np.meshgrid(range(USERS), range(ITEMS), indexing="ij"))
    repeat = items % 4 == 0
    liking = random.normal(size=len(users)).astype(np.float32)
    chances = expit(np.where(users % 2, 2, -2) * liking + np.where(repeat, 1, -1))
    return pl.DataFrame(
        {
            "user_number": users.astype(np.int32),
            "item_number": items.astype(np.int32),
            "segment_id": [
                ["taste-01", "taste-02"][user % 2] if user < USERS - 2 else None for user in users
            ],
            "is_repeat": repeat,
            "is_taken": random.random(len(users)) < chances,
            "weight": np.where(repeat, 1.0, 2.0),
            "liking": liking,
            "repeated": repeat.astype(np.float32),
        }
    )


@pytest.fixture(scope="module")
def finalists(examples) -> pl.DataFrame:
    both = [
        examples.filter(pl.lit(name == "for_you") | ~pl.col("is_repeat")).with_columns(list=pl.lit(name))
        for name in ranker.LISTS
    ]
    return pl.concat(both).select("user_number", "item_number", "list", *FEATURES)


def forbid_fitting(patch: pytest.MonkeyPatch) -> None:
    for name in ("fit_linear", "boosted_logits"):
        patch.setattr(ranker, name, lambda *_: pytest.fail("fitted again"))


def test_examples_of_discover_leave_repeats_out(examples):
    whole, features = read_examples(examples, "for_you")
    new, _ = read_examples(examples, "discover")
    assert features == FEATURES
    assert len(whole.taken) == USERS * ITEMS
    assert len(new.taken) == USERS * ITEMS * 3 / 4
    assert whole.features.dtype == np.float32
    assert not new.features[:, 1].any()
    assert new.weights.tolist() == [2.0] * len(new.weights)
    assert set(whole.segments[whole.users >= USERS - 2]) == {""}


def test_weights_have_a_row_per_list_segment_and_feature(examples, tmp_path):
    table = weights_table(examples, str(tmp_path), seed=7)
    assert dict(table.schema) == WEIGHTS_SCHEMA
    assert table.null_count().sum_horizontal().item() == 0
    assert table.select("list", "segment_id", "feature").is_duplicated().sum() == 0
    assert set(table.select("list", "segment_id").iter_rows()) == {
        (name, segment) for name in ranker.LISTS for segment in ("everyone", "taste-01", "taste-02")
    }
    assert table["feature"].value_counts().sort("feature").rows() == [
        ("intercept", 6),
        ("liking", 6),
        ("repeated", 6),
    ]
    assert table.filter(feature="intercept")["squared_weight"].to_list() == [0.0] * 6
    liked = dict(table.filter(list="for_you", feature="liking").select("segment_id", "weight").iter_rows())
    assert liked["taste-01"] < -1
    assert liked["taste-02"] > 1
    # Of no repeats nothing can be learned about repeats.
    assert set(table.filter(list="discover", feature="repeated")["weight"]) == {0.0}
    takers = dict(table.filter(list="for_you").select("segment_id", "taken_examples").iter_rows())
    assert takers["everyone"] == examples["is_taken"].sum()
    assert takers["taste-01"] == examples.filter(segment_id="taste-01")["is_taken"].sum()


def test_weights_in_the_table_are_those_that_were_learned(examples, tmp_path):
    rows, _ = read_examples(examples, "for_you")
    learned, measured = ranker.fit_linear(rows, 7)
    table = weights_table(examples, str(tmp_path), seed=7).filter(list="for_you")
    for one in learned:
        own = table.filter(segment_id=one.segment)
        assert own.filter(pl.col("feature") != "intercept")["feature"].to_list() == FEATURES
        assert own["weight"].to_list() == [*one.linear, one.intercept]
        assert own["squared_weight"].to_list() == [*one.squared, 0.0]
    assert ArtifactStore(tmp_path).meta(table["run_id"][0])["metrics"] == measured


def test_boosted_scores_every_finalist_of_each_list(examples, finalists, tmp_path):
    table = boosted_table(examples, finalists, str(tmp_path), seed=7)
    assert dict(table.schema) == BOOSTED_SCHEMA
    assert table.null_count().sum_horizontal().item() == 0
    keys = ["list", "user_number", "item_number"]
    assert_frame_equal(table.select(keys).sort(keys), finalists.select(keys).sort(keys))
    assert table["run_id"].n_unique() == 2
    taken = table.join(examples, on=["user_number", "item_number"]).filter(list="for_you")
    means = dict(taken.group_by("is_taken").agg(pl.col("logit").mean()).iter_rows())
    assert means[True] > means[False]


def test_trees_of_discover_never_saw_a_repeat(examples, finalists, tmp_path):
    table = boosted_table(examples, finalists, str(tmp_path), seed=7).filter(list="discover")
    turned = examples.with_columns(is_taken=pl.col("is_taken") ^ pl.col("is_repeat"))
    other = boosted_table(turned, finalists, str(tmp_path / "other"), seed=7).filter(list="discover")
    assert_frame_equal(table, other)


def test_order_of_the_input_rows_does_not_matter(examples, finalists, tmp_path):
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    mixed = examples.sample(fraction=1, shuffle=True, seed=1)
    assert_frame_equal(weights_table(mixed, second, seed=7), weights_table(examples, first, seed=7))
    assert_frame_equal(
        boosted_table(mixed, finalists.reverse(), second, seed=7),
        boosted_table(examples, finalists, first, seed=7),
    )


def test_unchanged_inputs_are_loaded_and_changed_ones_fitted(examples, finalists, tmp_path, monkeypatch):
    store = str(tmp_path)
    weights = weights_table(examples, store, seed=7)
    boosted = boosted_table(examples, finalists, store, seed=7)
    with monkeypatch.context() as patch:
        forbid_fitting(patch)
        assert_frame_equal(weights_table(examples.reverse(), store, seed=7), weights)
        assert_frame_equal(boosted_table(examples, finalists.reverse(), store, seed=7), boosted)
    renamed = examples.rename({"liking": "longing"})
    heavier = examples.with_columns(weight=pl.col("weight") * 2)
    for changed, seed in ((renamed, 7), (heavier, 7), (examples, 8)):
        assert not set(weights_table(changed, store, seed=seed)["run_id"]) & set(weights["run_id"])
    fewer = finalists.filter(pl.col("user_number") > 0)
    assert not set(boosted_table(examples, fewer, store, seed=7)["run_id"]) & set(boosted["run_id"])


def test_without_enough_that_was_taken_nothing_is_learned(examples, finalists, tmp_path, monkeypatch):
    taken = examples.filter("is_taken").head(ranker.MIN_TAKEN - 1)
    few = pl.concat([taken, examples.filter(~pl.col("is_taken"))])
    forbid_fitting(monkeypatch)
    for given in (None, examples.clear(), few):
        weights = weights_table(given, str(tmp_path), seed=7)
        assert_frame_equal(weights, pl.DataFrame(schema=WEIGHTS_SCHEMA))
        boosted = boosted_table(given, finalists, str(tmp_path), seed=7)
        assert_frame_equal(boosted, pl.DataFrame(schema=BOOSTED_SCHEMA))
    assert_frame_equal(boosted_table(examples, None, str(tmp_path), seed=7), boosted)
    assert not list(tmp_path.iterdir())


def test_one_list_may_have_learned_and_the_other_not(examples, finalists, tmp_path):
    repeats = examples.with_columns(is_taken=pl.col("is_taken") & pl.col("is_repeat"))
    assert set(weights_table(repeats, str(tmp_path), seed=7)["list"]) == {"for_you"}
    assert set(boosted_table(repeats, finalists, str(tmp_path), seed=7)["list"]) == {"for_you"}


def test_no_finalists_have_no_scores(examples, finalists, tmp_path):
    table = boosted_table(examples, finalists.clear(), str(tmp_path), seed=7)
    assert_frame_equal(table, pl.DataFrame(schema=BOOSTED_SCHEMA))


def test_boosted_table_finds_features_by_name(examples, finalists, tmp_path):
    turned = finalists.select("repeated", "list", "liking", "item_number", "user_number")
    assert_frame_equal(
        boosted_table(examples, turned, str(tmp_path / "turned"), seed=7),
        boosted_table(examples, finalists, str(tmp_path), seed=7),
    )
