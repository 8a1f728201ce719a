import numpy as np
import polars as pl
import pytest
from dated import dated
from scipy import sparse

from manyfaces.segments.clustering import candidate_frame
from manyfaces.segments.outlook import explained_share, outlook_judge
from manyfaces.store import ArtifactStore


def epsilon_by_hand(outcomes, groups):
    mean, total, within = outcomes.mean(axis=0), 0.0, 0.0
    for row, group in zip(outcomes, groups, strict=True):
        total += ((row - mean) ** 2).sum()
        within += ((row - outcomes[groups == group].mean(axis=0)) ** 2).sum()
    users, found = len(groups), len(set(groups))
    return 1 - within / total * (users - 1) / (users - found)


def test_explained_share_equals_the_definition():
    random = np.random.default_rng(1)
    outcomes, groups = random.random((40, 5)) * (random.random((40, 5)) < 0.4), random.integers(0, 3, 40)
    found = explained_share(sparse.csr_array(outcomes), groups)
    assert found == pytest.approx(epsilon_by_hand(outcomes, groups))


def test_groups_that_are_the_outcome_explain_all_and_chance_explains_nothing():
    random = np.random.default_rng(1)
    groups = random.integers(0, 4, 2_000)
    outcomes = sparse.csr_array(np.eye(4)[groups])
    assert explained_share(outcomes, groups) == pytest.approx(1)
    assert abs(explained_share(outcomes, random.integers(0, 50, 2_000))) < 0.01
    assert np.isnan(explained_share(sparse.csr_array(np.ones((9, 2))), np.arange(9) % 2))
    assert np.isnan(explained_share(outcomes[:3], np.arange(3)))


def test_the_judge_places_users_by_their_past_and_not_by_their_labels():
    random = np.random.default_rng(2)
    truth = np.repeat([0, 1], 50)
    vectors = random.normal(0, 0.1, (100, 2)) + truth[:, None] * 5.0
    outcomes = sparse.csr_array(np.eye(2)[truth])
    assert outlook_judge(vectors, vectors, outcomes)(truth) == pytest.approx(1)
    # Whoever was elsewhere some weeks ago foretells nothing, though today's labels fit what happened.
    past = vectors[random.permutation(100)]
    assert outlook_judge(vectors, past, outcomes)(truth) < 0.1
    # Users outside the sample, in no segment, without a past or who did nothing are passed over.
    labels = truth.copy()
    labels[:10], labels[10:20] = -2, -1
    past = vectors.copy()
    past[20:30] = np.nan
    nothing = outcomes.toarray()
    nothing[30:40] = 0
    assert outlook_judge(vectors, past, sparse.csr_array(nothing))(labels) == pytest.approx(1)
    assert np.isnan(outlook_judge(vectors, past, outcomes)(np.zeros(100, int)))


def test_candidates_are_judged_where_a_past_is_known(tmp_path):
    random = np.random.default_rng(3)
    truth = np.repeat(np.arange(3), 40)
    vectors = (random.normal(0, 0.3, (120, 2)) + np.array([[0, 0], [6, 0], [0, 6]])[truth]).tolist()
    users = pl.DataFrame({"user_key": [f"user{number:03d}" for number in range(120)], "vector": vectors})
    outlook = pl.DataFrame(
        {"user_index": np.arange(120), "category": [f"c{group}" for group in truth], "next_share": 1.0}
    )
    spec = {"name": "taste", "encoder": "fused", "algorithm": "kmeans", "candidates": [2, 3, 5]}
    store = ArtifactStore(tmp_path)
    rows = dated([spec], users.with_columns(past_vector="vector"), store, outlook=outlook)
    candidates = candidate_frame(rows["run_id"].unique().to_list(), store)
    judged = dict(candidates.select("clusters", "predictive").iter_rows())
    assert judged[3] == pytest.approx(1, abs=0.01)
    assert judged[2] < 0.9
    assert "predictive" in candidates.filter("is_champion")["reason"][0]
    without = dated([spec], users, store, outlook=outlook)
    blind = candidate_frame(without["run_id"].unique().to_list(), store)["predictive"]
    assert blind.null_count() == len(blind) > 0
