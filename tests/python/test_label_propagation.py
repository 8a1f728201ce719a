from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from segment_users import champion_of, inputs_of, keys
from sklearn.metrics import adjusted_rand_score

from manyfaces.segments import label_propagation
from manyfaces.segments.inputs import relations_of
from manyfaces.segments.label_propagation import (
    fit_label_propagation,
    independent_blocks,
    modularity,
    propagate_labels,
)

SPEC = {"name": "circles", "encoder": "vae", "algorithm": "label_propagation"}


def graph(users, pairs, weights=None):
    one, other = np.array(pairs).T
    matrix = sparse.csr_array(
        (np.ones(len(pairs)) if weights is None else weights, (one, other)), (users, users)
    )
    return sparse.csr_array(matrix + matrix.T)


def cliques(sizes):
    starts = np.cumsum([0, *sizes])
    return [
        (one, other)
        for start, end in pairwise(starts)
        for one in range(start, end)
        for other in range(one + 1, end)
    ]


def communities(users=900, groups=6, inside=10, outside=3, seed=0):
    """Random relations, so many a user within the own group and to everybody."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(groups), users // groups)
    one = random.integers(0, users, users * inside // 2)
    other = truth[one] * (users // groups) + random.integers(0, users // groups, len(one))
    far = random.integers(0, users, (users * outside // 2, 2))
    pairs = np.concatenate([np.stack([one, other], axis=1), far])
    return graph(users, pairs[pairs[:, 0] != pairs[:, 1]]), truth


def fit(relations, **settings):
    vectors = np.random.default_rng(0).normal(size=(relations.shape[0], 2))
    return fit_label_propagation(SPEC | settings, inputs_of(vectors, relations=relations))


def test_cliques_with_a_bridge_are_communities():
    found = fit(graph(12, [*cliques([5, 4, 3]), (4, 5), (8, 9)]))
    truth = np.repeat([0, 1, 2], [5, 4, 3])
    assert adjusted_rand_score(truth, found.labels) == 1
    assert champion_of(found)["clusters"] == 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_communities_are_found(seed):
    relations, truth = communities(seed=seed)
    found = fit(relations)
    assert adjusted_rand_score(truth, found.labels) >= 0.95
    row = champion_of(found)
    assert row["parameters"]["modularity"] > 0.5
    assert row["parameters"]["modularity"] == max(row["parameters"]["modularity"] for row in found.candidates)
    assert len(found.candidates) == 5
    assert row["stability"] > 0.8


def test_modularity_equals_networkx():
    networkx = pytest.importorskip("networkx")
    club = networkx.karate_club_graph()
    relations = sparse.csr_array(networkx.to_scipy_sparse_array(club, weight="weight").astype(float))
    labels, _ = propagate_labels(relations, np.arange(34), 50)
    groups = [set(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    assert modularity(relations, labels) == pytest.approx(
        networkx.community.modularity(club, groups), abs=1e-6
    )
    assert modularity(relations, np.zeros(34, int)) == 0


def test_weights_decide():
    # User 2 has one strong relation to the right and two weak ones to the left.
    pairs = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)]
    light = fit(graph(5, pairs, [5, 1, 1, 1.5, 5]))
    heavy = fit(graph(5, pairs, [5, 1, 1, 2.5, 5]))
    assert light.labels[2] == light.labels[0] != light.labels[3]
    assert heavy.labels[2] == heavy.labels[3] != heavy.labels[0]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_and_stars_come_to_rest(seed):
    relations = graph(
        40, [*((2 * pair, 2 * pair + 1) for pair in range(10)), *((20, leaf) for leaf in range(21, 40))]
    )
    labels, rounds = propagate_labels(relations, np.random.default_rng(seed).permutation(40), 50)
    assert rounds < 10
    assert len(np.unique(labels)) == 11
    assert len(np.unique(labels[20:])) == 1


def test_blocks_hold_nobody_related_and_everybody_once(monkeypatch):
    relations, _ = communities()
    order = np.random.default_rng(3).permutation(900)
    blocks = independent_blocks(relations, order)
    assert all(relations[block][:, block].nnz == 0 for block in blocks)
    assert sorted(np.concatenate(blocks)) == list(range(900))
    monkeypatch.setattr(label_propagation, "INDEPENDENT_BLOCKS", 3)
    few = independent_blocks(relations, order)
    assert len(few) == 3 + label_propagation.REST_BLOCKS
    assert sorted(np.concatenate(few)) == list(range(900))


def test_two_runs_are_identical():
    relations, _ = communities()
    first, second = fit(relations), fit(relations)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.candidates == second.candidates


def test_users_without_relations_and_small_communities_are_unassigned():
    relations = graph(20, cliques([9, 6, 2]))
    found = fit(relations, min_segment_share=0.2)
    assert found.labels[:9].tolist() == [found.labels[0]] * 9
    assert len(found.centres) == 2
    assert (found.labels[15:] == -1).all()
    assert champion_of(found)["noise_share"] == 0.25
    everybody = fit(relations)
    assert (everybody.labels[17:] == -1).all()
    assert (everybody.labels[15:17] >= 0).all()


@pytest.mark.parametrize("relations", [None, sparse.csr_array((4, 4)), sparse.csr_array(np.eye(4))])
def test_no_relations_assign_nobody(relations):
    found = fit_label_propagation(SPEC, inputs_of(np.eye(4), relations=relations))
    assert (found.labels == -1).all()
    assert champion_of(found)["reason"] == "Nobody assigned: no two users of this segmentation are related."


def test_relations_to_oneself_change_nothing():
    relations, _ = communities()
    loops = sparse.csr_array(relations + sparse.diags_array(np.full(900, 100.0)))
    np.testing.assert_array_equal(fit(loops).labels, fit(relations).labels)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((3, 3)), "Relations of 4 users need a square of that size"),
        (-np.ones((4, 4)), "must be numbers from 0 on"),
        (np.full((4, 4), np.nan), "must be numbers from 0 on"),
        (np.triu(np.ones((4, 4))), "must weigh the same in both directions"),
    ],
)
def test_matrices_that_are_no_relations_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        fit_label_propagation(SPEC, inputs_of(np.eye(4), relations=sparse.csr_array(matrix)))


def test_table_of_relations_becomes_symmetric():
    one = ["user000000", "user000001", "user000000", "user000002", "ghost"]
    other = ["user000001", "user000000", "user000001", "user000002", "user000000"]
    table = pl.DataFrame({"user_key": one, "related_user_key": other, "weight": [1.0, 2, 0.5, 9, 9]})
    matrix = relations_of(table, pl.Series(keys(3)))
    assert matrix.toarray().tolist() == [[0, 3.5, 0], [3.5, 0, 0], [0, 0, 0]]
    assert relations_of(table.clear(), pl.Series(keys(3))).nnz == 0


def test_many_relations_are_read_in_one_order(monkeypatch):
    monkeypatch.setattr(label_propagation, "MAX_VISITS", 100)
    found = fit(communities()[0])
    assert len(found.candidates) == 1
    assert found.candidates[0]["stability"] is None
    assert found.candidates[0]["reason"].startswith("Chosen, ")
