import numpy as np
import polars as pl
import pytest

from manyfaces.segments.interests import INTEREST_SCHEMA, interest_table, interests
from manyfaces.store import ArtifactStore

TEXT_SCHEMA = {
    "user_number": pl.Int32,
    "horizon": pl.String,
    "text_index": pl.Int32,
    "item_number": pl.Int32,
    "items": pl.Int32,
    "weight": pl.Float64,
}
# Texts 0 to 3 are about camping, 4 to 7 about baking, 8 to 11 about cats, and alike within their topic.
TOPICS = 3
TEXTS = 4 * TOPICS


def text_table(seed=0):
    generator = np.random.default_rng(seed)
    vectors = np.repeat(np.eye(TOPICS, 8), 4, axis=0) + 0.05 * generator.normal(size=(TEXTS, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pl.DataFrame(
        {"text_index": range(TEXTS), "vector": vectors.astype(np.float32).tolist()},
        schema={"text_index": pl.Int32, "vector": pl.List(pl.Float32)},
    )


def user_texts(*rows):
    """Rows of user, horizon, text, weight; the item of text n is number 100 + n, and two items have it."""
    full = [(user, horizon, text, 100 + text, 2, weight) for user, horizon, text, weight in rows]
    return pl.DataFrame(full, schema=TEXT_SCHEMA, orient="row")


def table(rows, folder, max_interests=5):
    return interest_table(rows, text_table(), max_interests, ArtifactStore(folder))


def test_planted_interests_are_found_with_their_weights(tmp_path):
    rows = [(1, "long", text, weight) for text, weight in enumerate([4.0] * 4 + [1.0] * 4 + [3.0] * 4)]
    found = table(user_texts(*rows), tmp_path)
    assert found["interest_rank"].to_list() == [1, 2, 3]
    assert [(item - 100) // 4 for item in found["item_number"]] == [0, 2, 1]
    assert found["weight"].to_list() == [0.5, 0.375, 0.125]
    assert found["items"].to_list() == [8, 8, 8]


def test_a_sudden_switch_moves_the_short_horizon_and_not_the_long_one(tmp_path):
    # A year of camping, once a week; then two weeks of baking, once a day.
    ages = {text: np.arange(20 + text, 365, 7.0) for text in range(4)}
    ages |= {text: np.arange(text - 4, 14, 4.0) for text in range(4, 8)}
    rows = [
        (1, horizon, text, float(np.log1p(np.exp2(-days / half_life).sum())))
        for horizon, half_life in (("long", 120), ("short", 14))
        for text, days in ages.items()
    ]
    found = table(user_texts(*rows), tmp_path)
    strongest = {
        horizon: (item - 100) // 4
        for horizon, rank, item in found.select("horizon", "interest_rank", "item_number").iter_rows()
        if rank == 1
    }
    assert strongest == {"long": 0, "short": 1}


def test_golden_medoid_is_nearest_to_the_weighted_centre_and_not_the_heaviest():
    # On a circle at 0, 10 and 50 degrees with weights 1, 2, 1 the centre lies at 17: nearest is 10.
    angles = np.radians([0.0, 10.0, 50.0])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    ((medoid, rows),) = interests(vectors, np.array([1.0, 2.0, 1.0]), 1)
    assert (medoid, rows.tolist()) == (1, [0, 1, 2])
    ((medoid, _),) = interests(vectors, np.array([3.0, 1.0, 3.0]), 1)  # the centre at 23
    assert medoid == 1
    ((medoid, _),) = interests(vectors, np.array([1.0, 1.0, 9.0]), 1)
    assert medoid == 2


def test_golden_texts_at_a_cosine_above_one_half_are_one_interest():
    def count(degrees):
        angles = np.radians([0.0, degrees])
        return len(interests(np.column_stack([np.cos(angles), np.sin(angles)]), np.ones(2), 5))

    assert (count(59), count(61)) == (1, 2)


def test_equal_texts_stand_for_the_heaviest_then_for_the_first():
    vectors = np.array([[1.0, 0.0]] * 3)
    assert interests(vectors, np.array([1.0, 2.0, 2.0]), 5)[0][0] == 1


def test_interests_are_no_more_than_allowed_and_still_hold_everything(tmp_path):
    rows = user_texts(*[(1, "long", text, 1.0 + text) for text in range(TEXTS)])
    found = table(rows, tmp_path, max_interests=2)
    assert len(found) == 2
    assert found["items"].sum() == 2 * TEXTS
    assert found["weight"].sum() == pytest.approx(1, abs=1e-9)


def test_medoids_are_own_items_and_falling_weights_add_up_to_one(tmp_path):
    generator = np.random.default_rng(5)
    rows = [
        (user, horizon, int(text), float(generator.random() + 0.01))
        for user in range(1, 60)
        for horizon in ("long", "short")
        for text in generator.choice(TEXTS, generator.integers(1, TEXTS), replace=False)
    ]
    own = user_texts(*rows)
    found = table(own, tmp_path)
    keys = ["user_number", "horizon"]
    assert found.join(own, on=[*keys, "item_number"], how="anti").is_empty()
    groups = found.group_by(keys).agg(pl.col("weight").sum(), pl.col("items").sum())
    assert len(groups) == 118
    assert (groups["weight"] - 1).abs().max() < 1e-9
    expected = own.group_by(keys).agg(pl.col("items").sum())
    assert groups.drop("weight").sort(keys).equals(expected.sort(keys))
    falls = found.with_columns(before=pl.col("weight").shift().over(keys, order_by="interest_rank"))
    assert falls.filter(pl.col("weight") > pl.col("before")).is_empty()
    shuffled = own.sample(fraction=1, shuffle=True, seed=3)
    assert table(shuffled, tmp_path / "other").equals(found)


def test_one_user_with_one_item_has_one_interest(tmp_path):
    found = table(user_texts((7, "short", 3, 0.4)), tmp_path)
    assert found.drop("run_id", "model_version").rows() == [(7, "short", 1, 103, 1.0, 2)]


@pytest.mark.filterwarnings("error")
def test_no_users_and_no_texts_give_a_typed_empty_frame(tmp_path):
    for texts in (text_table(), text_table().clear()):
        found = interest_table(user_texts(), texts, 5, ArtifactStore(tmp_path))
        assert found.is_empty()
        assert dict(found.schema) == INTEREST_SCHEMA


def test_texts_without_meaning_do_no_harm(tmp_path):
    blank = text_table().with_columns(vector=pl.lit([0.0] * 8).cast(pl.List(pl.Float32)))
    rows = user_texts((1, "long", 0, 1.0), (1, "long", 1, 2.0))
    found = interest_table(rows, blank, 5, ArtifactStore(tmp_path))
    assert found.select("item_number", "weight").rows() == [(101, 1.0)]


def test_a_text_without_a_vector_is_said(tmp_path):
    with pytest.raises(ValueError, match="1 texts of users have no vector"):
        table(user_texts((1, "long", TEXTS, 1.0)), tmp_path)
