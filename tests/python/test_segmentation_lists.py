"""What a segmentation is worth to the lists: planted tastes tell a good one from one at random."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from manyfaces.recommendations import ranker, segmentation_lists
from manyfaces.recommendations.segmentation_lists import SCHEMA, segmentation_table, with_segmentation

USERS, ITEMS, GROUPS, TOP_N = 120, 24, 3, 5
SEGMENTATIONS = ("planted", "random")


def segments_of(segmentation: str) -> np.ndarray:
    """Segment number of each user: the group whose items it likes, or one by lot."""
    if segmentation == "planted":
        return np.arange(USERS) % GROUPS
    return np.random.default_rng(9).integers(0, GROUPS, USERS)


@pytest.fixture(scope="module")
def planted() -> dict[str, pl.DataFrame]:
    """Tables of the judge, and `after`, what users take then; they like the items of their group."""
    random = np.random.default_rng(3)
    users, items = (grid.ravel() for grid in np.meshgrid(range(USERS), range(ITEMS), indexing="ij"))
    own = users % GROUPS == items % GROUPS
    popularity = (1 / (4 + items)).astype(np.float32)

    def frame() -> pl.DataFrame:
        return pl.DataFrame(
            {
                "user_number": users.astype(np.int32),
                "item_number": items.astype(np.int32),
                "segment_id": "what the build has",
                "is_repeat": random.random(len(users)) < 0.1,
                "is_taken": random.random(len(users)) < np.where(own, 0.5, 0.05),
                "weight": 1.0,
                "popularity": popularity,
                "in_segment": np.float32(0.5),
            }
        )

    members, strengths = [], []
    for wall in (0, 1):
        for name in SEGMENTATIONS:
            segments = segments_of(name)
            members.append(
                pl.DataFrame(
                    {
                        "wall_number": wall,
                        "segmentation": name,
                        "user_number": np.arange(USERS, dtype=np.int32),
                        "segment_id": [f"{name}-{segment}" for segment in segments],
                    }
                )
            )
            # Share of the segment's users that like the item.
            for segment in range(GROUPS):
                groups = np.arange(USERS)[segments == segment] % GROUPS
                shares = [np.mean(groups == item % GROUPS) for item in range(ITEMS)]
                strengths.append(
                    pl.DataFrame(
                        {
                            "wall_number": wall,
                            "segmentation": name,
                            "segment_id": f"{name}-{segment}",
                            "item_number": np.arange(ITEMS, dtype=np.int32),
                            "strength": shares,
                        }
                    )
                )
    candidates = frame()
    return {
        "examples": frame(),
        "candidates": candidates.with_columns(wall_number=0, is_taken=pl.lit(False)).drop("weight"),
        "members": pl.concat(members),
        "strengths": pl.concat(strengths),
        "users": pl.DataFrame(
            {"user_number": np.arange(USERS, dtype=np.int32), "user_key": [f"user {n}" for n in range(USERS)]}
        ),
        "items": pl.DataFrame(
            {"item_number": np.arange(ITEMS, dtype=np.int32), "item_id": [f"item {n}" for n in range(ITEMS)]}
        ),
        "after": candidates.filter("is_taken"),
    }


def lists_of(planted: dict[str, pl.DataFrame], top_n: int = TOP_N, **changes: pl.DataFrame) -> pl.DataFrame:
    given = {name: frame for name, frame in planted.items() if name != "after"} | changes
    return segmentation_table(**given, top_n=top_n, seed=7)


@pytest.fixture(scope="module")
def lists(planted) -> pl.DataFrame:
    return lists_of(planted)


def test_planted_segments_beat_none_and_random_ones_do_not(planted, lists):
    after = planted["after"].join(planted["users"], on="user_number").join(planted["items"], on="item_number")
    hits = lists.join(after.with_columns(hit=1), on=["user_key", "item_id"], how="left").with_columns(
        pl.col("hit").fill_null(0)
    )
    share = {
        (segmentation, name): rate
        for segmentation, name, rate in hits.group_by("segmentation", "list")
        .agg(pl.col("hit").mean())
        .iter_rows()
    }
    for name in ranker.LISTS:
        assert share["planted", name] > share["none", name] + 0.2
        assert abs(share["random", name] - share["none", name]) < 0.06


def test_lists_are_top_n_long_ranked_and_without_gaps(planted, lists):
    assert dict(lists.schema) == SCHEMA
    assert lists.null_count().sum_horizontal().item() == 0
    assert set(lists["segmentation"]) == {"none", *SEGMENTATIONS}
    of_user = lists.group_by("segmentation", "list", "user_key").agg(
        pl.col("rank").sort(), pl.col("item_id").n_unique().alias("items")
    )
    assert len(of_user) == 3 * 2 * USERS
    assert set(of_user["items"]) == {TOP_N}
    assert of_user["rank"].to_list() == [list(range(1, TOP_N + 1))] * len(of_user)


def test_discover_has_no_repeats(planted, lists):
    repeats = (
        planted["candidates"]
        .filter("is_repeat")
        .join(planted["users"], on="user_number")
        .join(planted["items"], on="item_number")
    )
    discover = lists.filter(list="discover")
    assert discover.join(repeats, on=["user_key", "item_id"], how="semi").is_empty()
    for_you = lists.filter(list="for_you")
    assert len(for_you.join(repeats, on=["user_key", "item_id"], how="semi"))


def test_none_knows_no_segment(planted, monkeypatch):
    """Neither the segment that the build has, nor the popularity in it, reaches its weights."""
    seen = []
    learn = ranker.fit_linear

    def spy(rows: ranker.Examples, seed: int):
        seen.append(rows)
        return learn(rows, seed)

    monkeypatch.setattr(segmentation_lists.ranker, "fit_linear", spy)
    lists_of(planted, members=planted["members"].clear(), strengths=planted["strengths"].clear())
    assert len(seen) == len(ranker.LISTS)
    for rows in seen:
        assert set(rows.segments) == {""}
        assert not rows.features[:, 1].any()
        assert rows.features[:, 0].any()


def test_the_segmentation_of_the_build_does_not_matter(planted, lists):
    other = {
        name: planted[name].with_columns(segment_id=pl.lit(None, pl.String), in_segment=pl.lit(0, pl.Float32))
        for name in ("examples", "candidates")
    }
    assert_frame_equal(lists_of(planted, **other), lists)


def test_each_wall_has_its_own_members(planted, lists):
    """Members of today must not teach: with other ones at wall 0 only the scoring changes."""
    earlier_only = planted["members"].filter(wall_number=1)
    moved = lists_of(planted, members=earlier_only)
    assert_frame_equal(moved.filter(segmentation="none"), lists.filter(segmentation="none"))
    ours = moved.filter(segmentation="planted")
    assert not ours.equals(lists.filter(segmentation="planted"))
    # Nobody has a segment today: what is left is the same for all.
    of_user = ours.filter(list="for_you").group_by("user_key").agg(pl.col("item_id").str.join(","))
    assert of_user["item_id"].n_unique() == 1


def test_equal_scores_go_by_item_number(planted):
    """With nothing to tell items apart every list is the first items, whatever the order of the rows."""
    alike = {
        name: planted[name].with_columns(popularity=pl.lit(1, pl.Float32), is_repeat=pl.lit(False))
        for name in ("examples", "candidates")
    }
    mixed = {name: frame.sample(fraction=1, shuffle=True, seed=4) for name, frame in alike.items()}
    none = lists_of(planted, **mixed).filter(segmentation="none")
    for items in none.group_by("list", "user_key").agg(pl.col("item_id").sort_by("rank"))["item_id"]:
        assert items.to_list() == [f"item {n}" for n in range(TOP_N)]


def test_order_of_the_input_rows_does_not_matter(planted, lists):
    mixed = {
        name: frame.sample(fraction=1, shuffle=True, seed=5)
        for name, frame in planted.items()
        if name != "after"
    }
    assert_frame_equal(lists_of(planted | mixed), lists)


def test_short_of_candidates_lists_are_shorter(planted):
    few = planted["candidates"].filter(pl.col("item_number") < 3)
    assert (
        lists_of(planted, candidates=few).group_by("segmentation", "list", "user_key").len()["len"].max() == 3
    )


def test_too_little_to_learn_from_gives_no_lists(planted):
    for examples in (
        planted["examples"].clear(),
        planted["examples"].with_columns(is_taken=pl.lit(False)),
    ):
        assert_frame_equal(lists_of(planted, examples=examples), pl.DataFrame(schema=SCHEMA))


def test_another_segmentation_replaces_two_columns_and_keeps_the_order():
    frame = pl.DataFrame(
        {
            "user_number": [2, 1, 3, 1],
            "item_number": [5, 6, 5, 5],
            "segment_id": ["old"] * 4,
            "liking": [1.0, 2.0, 3.0, 4.0],
            "in_segment": pl.Series([0.9] * 4, dtype=pl.Float32),
        }
    )
    members = pl.DataFrame({"user_number": [1, 2], "segment_id": ["a", "b"]})
    strengths = pl.DataFrame(
        {"segment_id": ["a", "b", "b"], "item_number": [5, 5, 6], "strength": [0.5, 1.0, 0.25]}
    )
    found = with_segmentation(frame, members, strengths)
    assert_frame_equal(
        found,
        frame.with_columns(
            segment_id=pl.Series(["b", "a", None, "a"]),
            in_segment=pl.Series([1.0, 0.0, 0.0, 0.5], dtype=pl.Float32),
        ),
    )
