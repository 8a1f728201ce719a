"""Candidates of the fitted sources at the earlier wall: who has them, and from what."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from test_recommendation_tables import USERS, feature_tables, text_tables

from manyfaces.recommendations.training import TRAINING_SCHEMA, training_table

OPTIONS = {
    "count": 3,
    "content_count": 2,
    "regularisation": 2.0,
    "max_items": 100,
    "method": "auto",
    "memory_mb": 10,
    "seed": 7,
}
KEYS = ["user_key", "item_id", "source", "score"]
UNKNOWN = [2, 5]
"""Users without a history at the earlier wall: one in the midst of each group."""


def inputs(store: object, texts: bool = True, seed: int = 0) -> dict[str, object]:
    tables = feature_tables(seed=seed)
    known = tables["user_item_matrix"].filter(~pl.col("user_index").is_in(UNKNOWN))
    vectors = text_tables()[1]
    return {
        "matrix_users": tables["matrix_users"],
        "matrix_items": tables["matrix_items"],
        "training_matrix": known,
        "item_stats": tables["item_stats"],
        "texts": vectors if texts else vectors.clear(),
        "store_dir": str(store),
    }


def test_users_without_a_history_then_are_left_out(tmp_path):
    given = inputs(tmp_path)
    table = training_table(**given, **OPTIONS)
    assert dict(table.schema) == TRAINING_SCHEMA
    assert table.null_count().sum_horizontal().item() == 0
    then = given["training_matrix"].join(given["matrix_users"], on="user_index")
    assert set(table["user_key"]) == set(then["user_key"])
    assert len(set(table["user_key"])) == USERS - len(UNKNOWN)
    assert set(table["source"]) == {"collaborative", "content"}
    assert "item 1" not in table["item_id"]  # not active
    assert table.select("user_key", "item_id", "source").is_duplicated().sum() == 0


def test_candidates_are_those_of_the_same_users_without_gaps_between_their_numbers(tmp_path):
    """Users that are left get new places; a mistake there would give one the list of another."""
    given = inputs(tmp_path / "gaps")
    renumbered = given["matrix_users"].filter(~pl.col("user_index").is_in(UNKNOWN)).sort("user_index")
    renumbered = renumbered.with_columns(place=pl.int_range(len(renumbered), dtype=pl.Int32))
    close = given | {
        "matrix_users": renumbered.select(user_index="place", user_key="user_key"),
        "training_matrix": given["training_matrix"]
        .join(renumbered, on="user_index")
        .select(user_index="place", item_index="item_index", affinity="affinity"),
        "store_dir": str(tmp_path / "close"),
    }
    assert_frame_equal(training_table(**given, **OPTIONS), training_table(**close, **OPTIONS))


def test_users_of_a_group_get_its_items(tmp_path):
    table = training_table(**inputs(tmp_path), **OPTIONS)
    first = table.filter(source="collaborative").sort("score", descending=True)
    first = first.group_by("user_key", maintain_order=True).first()
    groups = first.select(
        pl.col("user_key").str.strip_prefix("user ").cast(pl.Int64) % 2
        == pl.col("item_id").str.strip_prefix("item ").cast(pl.Int64) % 2
    )
    assert groups.to_series().all()


def test_content_names_only_texts_that_are_new_to_the_user_then(tmp_path):
    given = inputs(tmp_path)
    content = training_table(**given, **OPTIONS).filter(source="content")
    own = (
        given["training_matrix"]
        .join(given["matrix_users"], on="user_index")
        .join(given["matrix_items"], on="item_index")
    )
    assert content.join(own, on=["user_key", "item_id"], how="semi").is_empty()
    assert content["item_id"].is_in(["item 7"]).sum() == 0  # without text
    assert content.group_by("user_key").len()["len"].max() <= OPTIONS["content_count"]


def test_without_texts_there_are_collaborative_candidates_only(tmp_path):
    both = training_table(**inputs(tmp_path / "both"), **OPTIONS)
    plain = training_table(**inputs(tmp_path / "plain", texts=False), **OPTIONS)
    assert_frame_equal(plain, both.filter(source="collaborative"))
    placeless = inputs(tmp_path / "null")
    placeless["texts"] = placeless["texts"].with_columns(text_index=pl.lit(None, pl.Int32))
    assert_frame_equal(training_table(**placeless, **OPTIONS), plain)


@pytest.mark.parametrize("emptied", [("training_matrix",), ("matrix_users", "training_matrix")])
@pytest.mark.parametrize("texts", [True, False])
def test_nobody_at_the_earlier_wall_gives_no_rows(tmp_path, emptied, texts):
    given = inputs(tmp_path, texts)
    given |= {name: given[name].clear() for name in emptied}
    assert_frame_equal(training_table(**given, **OPTIONS), pl.DataFrame(schema=TRAINING_SCHEMA))


def test_no_tables_at_all_give_no_rows(tmp_path):
    given = {
        name: value.clear() if isinstance(value, pl.DataFrame) else value
        for name, value in inputs(tmp_path).items()
    }
    assert_frame_equal(training_table(**given, **OPTIONS), pl.DataFrame(schema=TRAINING_SCHEMA))


def test_the_autoencoder_of_today_is_not_asked_about_the_earlier_wall(tmp_path):
    found = training_table(**inputs(tmp_path), **OPTIONS | {"method": "variational"})
    assert_frame_equal(found, training_table(**inputs(tmp_path), **OPTIONS))


def test_order_of_the_input_rows_does_not_matter(tmp_path):
    given = inputs(tmp_path / "first")
    turned = {
        name: value.reverse() if isinstance(value, pl.DataFrame) else str(tmp_path / "second")
        for name, value in given.items()
    }
    assert_frame_equal(training_table(**given, **OPTIONS), training_table(**turned, **OPTIONS))


def test_a_newcomer_since_then_changes_nothing(tmp_path):
    given = inputs(tmp_path)
    table = training_table(**given, **OPTIONS)
    more = given["matrix_users"].vstack(
        pl.DataFrame({"user_index": np.array([USERS], np.int32), "user_key": ["a newcomer"]})
    )
    assert_frame_equal(
        training_table(**given | {"matrix_users": more}, **OPTIONS).select(KEYS), table.select(KEYS)
    )
