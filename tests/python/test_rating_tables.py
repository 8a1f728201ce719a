"""Predicted ratings and their errors, from table to table."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from manyfaces.recommendations.rating_tables import (
    ERROR_SCHEMA,
    PREDICTION_SCHEMA,
    error_table,
    prediction_table,
)
from manyfaces.store import ArtifactStore

OPTIONS = {"scale": (0.0, 5.0), "seed": 7}
START = datetime(2026, 1, 1)


def ratings_table(count: int = 400) -> pl.DataFrame:
    """40 users and 20 items; even users love even items and hate the others."""
    random = np.random.default_rng(2)
    cells = random.permutation(40 * 20)[:count]
    users, items = np.divmod(cells, 20)
    return pl.DataFrame(
        {
            "user_key": [f"user {user:02}" for user in users],
            "item_id": [f"item {item:02}" for item in items],
            "rated_at": [START + timedelta(hours=int(hour)) for hour in random.permutation(count)],
            "rating": np.where(users % 2 == items % 2, 4.5, 0.0),
        },
        schema={
            "user_key": pl.String,
            "item_id": pl.String,
            "rated_at": pl.Datetime("us"),
            "rating": pl.Float64,
        },
    )


def candidates() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_key": ["user 00", "user 00", "user 01", "a stranger", "user 01"],
            "item_id": ["item 04", "item 05", "item 04", "item 04", "never rated"],
        }
    )


def test_tastes_are_predicted_and_unknown_items_are_average(tmp_path):
    table = prediction_table(ratings_table(), candidates, str(tmp_path), **OPTIONS)
    assert dict(table.schema) == PREDICTION_SCHEMA
    assert table.select("user_key", "item_id").rows() == [
        ("user 00", "item 04"),
        ("user 00", "item 05"),
        ("user 01", "item 04"),
        ("user 01", "never rated"),
    ]
    liked, hated, hated_too, average = table["predicted_rating"]
    assert liked > 3.5
    assert max(hated, hated_too) < 1
    assert 1 < average < 3.5
    counts = ratings_table()["user_key"].value_counts()
    assert table["user_ratings"][0] == counts.filter(user_key="user 00")["count"].item()
    assert table["item_ratings"].to_list()[-1] == 0


def test_errors_are_measured_on_the_newest_tenth(tmp_path):
    ratings = ratings_table()
    table = error_table(ratings, str(tmp_path), **OPTIONS)
    assert dict(table.schema) == ERROR_SCHEMA
    assert table["model"].to_list() == ["factors", "biases"]
    assert set(table.select("training_ratings", "held_out_ratings", "held_out_since").rows()) == {
        (360, 40, START + timedelta(hours=360))
    }
    factors, biases = table["mean_absolute_error"]
    assert factors < 0.5 * biases
    assert table["root_mean_squared_error"][0] < table["root_mean_squared_error"][1]
    # What is newest decides: other values there, another error.
    spoiled = ratings.with_columns(
        rating=pl.when(pl.col("rated_at") >= START + timedelta(hours=360)).then(2.0).otherwise("rating")
    )
    assert error_table(spoiled, str(tmp_path), **OPTIONS)["mean_absolute_error"][0] > factors + 1


def test_both_tables_share_one_fit_in_any_order_of_the_rows(tmp_path):
    ratings = ratings_table()
    table = prediction_table(ratings, candidates, str(tmp_path), **OPTIONS)
    errors = error_table(ratings.reverse(), str(tmp_path), **OPTIONS)
    assert set(errors["run_id"]) == set(table["run_id"])
    turned = prediction_table(ratings.reverse(), lambda: candidates().reverse(), str(tmp_path), **OPTIONS)
    assert_frame_equal(turned, table)
    # A rating of 0 is a rating.
    zero = ratings["rating"].to_list().index(0.0)
    less = ratings.filter(pl.int_range(pl.len()) != zero)
    assert prediction_table(less, candidates, str(tmp_path), **OPTIONS)["run_id"][0] != table["run_id"][0]
    assert len(ArtifactStore(tmp_path).run_ids("ratings")) == 2


@pytest.mark.filterwarnings("error")
def test_without_ratings_nothing_is_loaded_and_with_few_nothing_is_held_out(tmp_path):
    empty = prediction_table(
        ratings_table(0), lambda: pytest.fail("loaded candidates"), str(tmp_path), **OPTIONS
    )
    assert dict(empty.schema) == PREDICTION_SCHEMA
    for count in (0, 1, 9):
        errors = error_table(ratings_table(count), str(tmp_path), **OPTIONS)
        assert dict(errors.schema) == ERROR_SCHEMA
        assert errors.is_empty()
    assert not prediction_table(
        ratings_table(9), lambda: ratings_table(9), str(tmp_path), **OPTIONS
    ).is_empty()
