from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from dated import WALL, at, dated
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments.clustering import centroid_frame
from manyfaces.segments.lasting import DATED_SCHEMA, Policy, population_stability
from manyfaces.store import ArtifactStore

TASTE = {"name": "taste", "encoder": "fused", "algorithm": "kmeans", "candidates": [2, 3, 4]}
TREE = {"name": "tree", "encoder": "fused", "algorithm": "ward", "levels": [2, 4]}
NEVER = Policy(0.3)


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def blobs(sizes, shift=0.0, first=0, seed=0, spread=1.0):
    """Users around centres on a line; `shift` moves everybody, `first` is the number of the first one."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    vectors = random.normal(0, spread, (len(truth), 3)) + truth[:, None] * 12.0 + shift
    keys = [f"user{number:05d}" for number in range(first, first + len(truth))]
    return pl.DataFrame({"user_key": keys, "vector": vectors.astype(np.float32).tolist()}), truth


def later(days):
    return WALL + timedelta(days=days)


def numbers(rows, wall):
    return at(rows, wall)["segment_number"].to_numpy()


def test_the_first_wall_chooses_and_counts_from_one(store):
    users, truth = blobs([40, 30, 20])
    rows = dated([TASTE], users, store)
    assert dict(rows.schema) == DATED_SCHEMA
    assert rows["decision"].unique().to_list() == ["first"]
    assert adjusted_rand_score(truth, rows.sort("user_key")["segment_number"]) == 1
    sizes = rows.group_by("segment_number").len().sort("segment_number")
    assert sizes.rows() == [(1, 40), (2, 30), (3, 20)]


def test_the_next_wall_assigns_without_fitting_and_keeps_the_numbers(store, monkeypatch):
    users, _ = blobs([40, 30, 20])
    first = dated([TASTE], users, store)

    def refuse(*_, **__):
        raise AssertionError("fitted")

    monkeypatch.setattr("manyfaces.segments.lasting.fit_segmentation", refuse)
    moved, _ = blobs([40, 30, 25], seed=1)
    second = dated([TASTE], moved, store, wall=later(7), previous=first, policy=NEVER)
    assert at(second, WALL).equals(at(first, WALL))
    now = at(second, later(7))
    assert now["decision"].unique().to_list() == ["assign"]
    assert now["fitted_as_of"].unique().to_list() == [WALL]
    assert now["run_id"].unique().to_list() == first["run_id"].unique().to_list()
    assert (now["segment_number"].to_numpy()[:90] == numbers(first, WALL)).all()
    assert "fitted 7 days ago" in now["decision_reason"][0]


@pytest.mark.parametrize(
    ("policy", "wall", "sizes", "named"),
    [
        (Policy(0.3, age_days=28), later(28), [40, 30, 20], "age_days"),
        (Policy(0.3, outside_share=0.5), later(1), [40, 30, 20], "outside_share"),
        (Policy(0.3, psi=0.1), later(1), [40, 30, 80], "psi"),
    ],
)
def test_a_bound_that_is_reached_calls_for_a_refit_from_the_last_centres(policy, wall, sizes, named, store):
    users, _ = blobs([40, 30, 20])
    first = dated([TASTE], users, store)
    moved, truth = blobs(sizes, shift=4.0 if named == "outside_share" else 0.0, seed=1)
    rows = at(dated([TASTE], moved, store, wall=wall, previous=first, policy=policy), wall)
    assert rows["decision"].unique().to_list() == ["refit"]
    assert f"because {named} has reached" in rows["decision_reason"][0]
    assert rows["fitted_as_of"].unique().to_list() == [wall]
    assert rows["segment_number"].n_unique() == 3
    assert adjusted_rand_score(truth, rows["segment_number"]) == 1
    # Segment 1 is still the one around the origin, though it is no longer the largest.
    assert rows["segment_number"][0] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": TASTE | {"candidates": [2, 3]}}, "declared differently"),
        ({"space": "two"}, "another space"),
        ({"seed": 8}, "declared differently"),
    ],
)
def test_another_declaration_or_space_is_fitted_anew_and_matched_on_users(change, reason, store):
    users, _ = blobs([40, 30, 20])
    first = dated([TASTE], users, store)
    turned = users.with_columns(vector=pl.col("vector").list.eval(-pl.element()))
    rows = dated(
        [change.get("spec", TASTE)],
        turned,
        store,
        wall=later(1),
        previous=first,
        space=change.get("space", "one"),
        seed=change.get("seed", 7),
    )
    now = at(rows, later(1))
    assert now["decision"].unique().to_list() == ["train"]
    assert reason in now["decision_reason"][0]
    assert (now["segment_number"].to_numpy() == numbers(first, WALL)).all()


def test_a_segment_that_is_born_gets_a_number_that_nobody_had(store):
    users, _ = blobs([40, 30, 20])
    walls = [WALL, later(1), later(2), later(3)]
    rows = dated([TASTE | {"candidates": [3]}], users, store)
    fewer, _ = blobs([40, 30])
    rows = dated([TASTE | {"candidates": [2]}], fewer, store, wall=walls[1], previous=rows)
    assert set(numbers(rows, walls[1])) == {1, 2}
    more, truth = blobs([40, 30, 20])
    rows = dated([TASTE | {"candidates": [3]}], more, store, wall=walls[2], previous=rows)
    found = numbers(rows, walls[2])
    # Number 3 was given once and died; its users are back, but two walls later nobody knows them.
    assert set(found) == {1, 2, 4}
    assert set(found[truth == 2]) == {4}


def test_the_same_wall_again_gives_the_same_and_an_earlier_one_sees_nothing_later(store):
    users, _ = blobs([40, 30, 20])
    first = dated([TASTE], users, store)
    moved, _ = blobs([40, 30, 25], shift=1.0, seed=1)
    second = dated([TASTE], moved, store, wall=later(40), previous=first)
    again = dated([TASTE], moved, store, wall=later(40), previous=second)
    assert again.equals(second)
    earlier = dated([TASTE], users, store, wall=WALL, previous=second)
    assert at(earlier, WALL).equals(at(first, WALL))


def test_the_newest_walls_stay_and_the_others_are_untouched(store):
    users, _ = blobs([20, 10])
    rows = None
    for day in range(8):
        rows = dated([TASTE], users, store, wall=later(day), previous=rows, policy=NEVER)
    assert rows["as_of"].unique().sort().to_list() == [later(day) for day in range(3, 8)]
    again = dated([TASTE], users, store, wall=later(5), previous=rows, policy=NEVER)
    assert again.sort(pl.all()).equals(rows.sort(pl.all()))


def test_a_model_that_the_store_lost_is_fitted_again_under_the_old_numbers(store):
    users, _ = blobs([40, 30, 20])
    first = dated([TASTE], users, store)
    for path in store.root.iterdir():
        path.unlink()
    now = at(dated([TASTE], users, store, wall=later(1), previous=first), later(1))
    assert "lost the model" in now["decision_reason"][0]
    assert (now["segment_number"].to_numpy() == numbers(first, WALL)).all()


def test_other_users_are_matched_by_what_their_segments_like(store):
    users, truth = blobs([40, 30, 20])
    likes = ["tea", "coffee", "milk"]

    def shares(groups):
        return pl.DataFrame(
            {
                "user_index": np.arange(len(groups)),
                "category": [likes[group] for group in groups],
                "share": np.ones(len(groups)),
            }
        )

    first = dated([TASTE], users, store, shares=shares(truth))
    # Quite other users, in a space whose axes are turned, the groups in another order of size.
    strangers, groups = blobs([20, 30, 45], first=1000, seed=2)
    turned = strangers.with_columns(vector=pl.col("vector").list.eval(-pl.element()))
    rows = dated([TASTE], turned, store, wall=later(1), previous=first, space="two", shares=shares(groups))
    now = at(rows, later(1))["segment_number"].to_numpy()
    assert [set(now[groups == group]) for group in range(3)] == [{1}, {2}, {3}]


def test_levels_of_a_hierarchy_are_segmentations_that_nest(store):
    users, _ = blobs([40, 30, 25, 20])
    rows = dated([TREE], users, store)
    fine, coarse = (
        rows.filter(segmentation=name).sort("user_key")["segment_number"] for name in ("tree", "tree_2")
    )
    assert fine.n_unique() == 4
    assert coarse.n_unique() == 2
    pairs = pl.DataFrame({"fine": fine, "coarse": coarse}).unique()
    assert pairs.height == 4
    centres = centroid_frame(
        rows.select("segmentation", "cluster", "segment_number", "run_id").unique(), store
    )
    parents = centres.filter(segmentation="tree").select(
        "segment_number", "parent_segmentation", "parent_number"
    )
    assert set(parents["parent_segmentation"]) == {"tree_2"}
    assert dict(parents.select("segment_number", "parent_number").iter_rows()) == dict(pairs.iter_rows())
    assert centres.filter(segmentation="tree_2")["users"].sum() == 115
    second = dated([TREE], users, store, wall=later(1), previous=rows, policy=NEVER)
    for name in ("tree", "tree_2"):
        before, after = (at(second, wall).filter(segmentation=name) for wall in (WALL, later(1)))
        assert after["decision"].unique().to_list() == ["assign"]
        assert before["segment_number"].equals(after["segment_number"])


def test_labels_and_relations_reach_their_algorithms(store):
    users, truth = blobs([30, 30])
    labels = pl.DataFrame(
        {"user_key": users["user_key"].gather([0, 1, 2, 30, 31, 32]), "label": ["low"] * 3 + ["high"] * 3}
    )
    known = {"name": "known", "encoder": "fused", "algorithm": "knn", "neighbours": [1]}
    rows = dated([known], users, store, labels=labels)
    assert adjusted_rand_score(truth, rows.sort("user_key")["segment_number"]) == 1
    numbered = rows.select("segmentation", "cluster", "segment_number", "run_id").unique()
    assert set(centroid_frame(numbered, store)["name"]) == {"low", "high"}

    friends = {"name": "friends", "algorithm": "label_propagation"}
    nothing = users.with_columns(vector=pl.lit([], pl.List(pl.Float32)))
    keys = users["user_key"].to_list()
    ring = [
        (one, other)
        for group in (keys[:30], keys[30:])
        for one in group
        for other in group[:5]
        if one != other
    ]
    relations = pl.DataFrame(ring, schema=["user_key", "related_user_key"], orient="row").with_columns(
        weight=1.0
    )
    rows = dated([friends], nothing, store, relations=relations)
    assert adjusted_rand_score(truth, rows.sort("user_key")["segment_number"]) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "algorithm", ["kmeans", "ward", "dbscan", "hdbscan", "gaussian_mixture", "knn", "label_propagation"]
)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_users_give_typed_rows_wall_after_wall(algorithm, count, store):
    spec = {"name": "few", "algorithm": algorithm, "encoder": "fused"}
    spec |= {"candidates": [2, 3]} if algorithm in ("kmeans", "gaussian_mixture") else {}
    spec |= {"levels": [2, 3]} if algorithm == "ward" else {}
    users = blobs([2])[0].head(count)
    first = dated([spec], users, store)
    assert dict(first.schema) == DATED_SCHEMA
    assert first.filter(segmentation="few").height == count
    second = dated([spec], users, store, wall=later(1), previous=first)
    assert at(second, later(1)).filter(segmentation="few").height == count
    filled = dated([spec], blobs([20, 20])[0], store, wall=later(2), previous=second)
    assert at(filled, later(2)).filter(segmentation="few").height == 40


def test_without_a_wall_there_are_no_rows(store):
    users, _ = blobs([3])
    rows = dated([TASTE], users, store, wall=None)
    assert dict(rows.schema) == DATED_SCHEMA


def test_a_table_of_an_older_version_counts_as_nothing(store):
    users, _ = blobs([10, 10])
    old = dated([TASTE], users, store).drop("space")
    rows = dated([TASTE], users, store, wall=later(1), previous=old)
    assert rows["decision"].unique().to_list() == ["first"]


def test_population_stability_index():
    assert population_stability(np.array([50, 50]), np.array([50, 50])) == 0
    by_hand = (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    assert population_stability(np.array([50, 50]), np.array([70, 30])) == pytest.approx(by_hand, abs=1e-6)
    assert np.isfinite(population_stability(np.array([10, 0]), np.array([0, 10])))


def test_the_wall_is_a_time(store):
    users, _ = blobs([10, 10])
    assert dated([TASTE], users, store)["as_of"][0] == datetime(2025, 1, 1)
