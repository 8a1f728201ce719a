from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.graph import Parameters, encode, fit
from manyfaces.store import ArtifactStore

GROUPS, ITEMS, USERS = 4, 120, 400
SMALL = Parameters(dims=8)


def history_of(matrix):
    matrix = sparse.csr_array(matrix, dtype=np.float32)
    users, items = matrix.shape
    return UserHistory(
        item_ids=np.array([f"i{number:03}" for number in range(items)], dtype=np.str_),
        matrix=matrix,
        feature_names=np.array([], dtype=np.str_),
        features=np.zeros((users, 0), np.float32),
        sequence_items=np.zeros(0, np.int32),
        sequence_offsets=np.zeros(users + 1, np.int64),
    )


def planted(users=USERS, seed=1):
    """Users that mostly take items of their group; some take many and some few, some items are popular."""
    random = np.random.default_rng(seed)
    groups = np.arange(users) % GROUPS
    fits = groups[:, None] == np.arange(ITEMS) % GROUPS
    popularity = random.uniform(0.3, 1.7, ITEMS)
    activity = random.choice([0.4, 1.0, 2.2], users)[:, None]
    taken = random.random((users, ITEMS)) < np.where(fits, 0.2, 0.05) * popularity * activity
    return history_of(taken * random.uniform(0.5, 2, (users, ITEMS))), groups


def agreement(vectors, groups):
    return adjusted_rand_score(groups, KMeans(GROUPS, n_init=5, random_state=0).fit_predict(vectors))


def hit_rate(scores, known, held_out):
    """Return how often one of the ten best items that a user does not have is a held-out one."""
    best = np.argsort(-np.where(known > 0, -np.inf, scores), axis=1)[:, :10]
    wanted = (held_out > 0).any(axis=1)
    return np.take_along_axis(held_out > 0, best, axis=1)[wanted].any(axis=1).mean()


@pytest.fixture(scope="module")
def fitted():
    history, groups = planted()
    return history, groups, fit(history, SMALL)


def by_definition(matrix, first_users, first_items, layers):
    """The means of the layers as He et al. write them, with one big matrix of users and items."""
    users, items = matrix.shape
    adjacency = np.block([[np.zeros((users, users)), matrix], [matrix.T, np.zeros((items, items))]])
    degrees = adjacency.sum(axis=1)
    scale = np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0)
    propagate = scale[:, None] * adjacency * scale
    found = [np.concatenate([first_users, first_items])]
    for _ in range(layers):
        found.append(propagate @ found[-1])
    mean = np.mean(found, axis=0)
    return mean[:users], mean[users:]


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_vectors_are_the_means_of_the_layers_of_lightgcn(layers):
    history, _ = planted(users=40)
    matrix = history.matrix.toarray().astype(np.float64)
    sums = np.outer(matrix.sum(axis=1), matrix.sum(axis=0))
    scale = 1 / np.sqrt(np.where(sums > 0, sums, 1))
    left, values, right = np.linalg.svd(matrix * scale, full_matrices=False)
    roots = np.sqrt(values)
    users, items = by_definition(matrix, left * roots, right.T * roots, layers)
    artifact = fit(history, Parameters(dims=40, layers=layers, shared_direction=True))
    vectors, item_vectors = encode(history, artifact), artifact.arrays["item_vectors"]
    signs = np.sign((item_vectors * items).sum(axis=0))
    np.testing.assert_allclose(item_vectors * signs, items, atol=1e-4)
    np.testing.assert_allclose(vectors * signs, normalize(users), atol=1e-4)
    # The first direction is the one that all share: the same sign for everybody.
    assert len(set(np.sign(vectors[:, 0]).tolist())) == 1


def test_without_the_shared_direction_the_others_stay(fitted):
    history, _, artifact = fitted
    whole = fit(history, replace(SMALL, dims=9, shared_direction=True))
    with_it, without = whole.arrays["item_vectors"][:, 1:], artifact.arrays["item_vectors"]
    np.testing.assert_allclose(with_it @ with_it.T, without @ without.T, atol=1e-4)
    popularity = np.sqrt(history.matrix.sum(axis=0))
    assert abs(np.corrcoef(whole.arrays["item_vectors"][:, 0], popularity)[0, 1]) > 0.99


@pytest.mark.parametrize("base", ["svd", "random"])
def test_vectors_show_the_planted_groups(fitted, base):
    history, groups, _ = fitted
    vectors = encode(history, fit(history, Parameters(dims=8 if base == "svd" else 64, base=base)))
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, vectors.round(6))
    found = agreement(vectors, groups)
    assert found > (0.6 if base == "svd" else 0.25)  # 0 is chance
    if base == "svd":
        assert found > agreement(history.matrix.toarray(), groups) + 0.2


def test_propagation_finds_groups_better_than_its_base(fitted):
    history, groups, _ = fitted
    wide = Parameters(dims=64)
    base = agreement(encode(history, fit(history, replace(wide, layers=0))), groups)
    assert agreement(encode(history, fit(history, wide)), groups) > base


def test_held_out_items_rank_better_than_by_popularity():
    history, _ = planted()
    whole = history.matrix.toarray()
    hidden = np.random.default_rng(2).random(whole.shape) < 0.2
    known, held_out = np.where(hidden, 0, whole), np.where(hidden, whole, 0)
    artifact = fit(history_of(known), SMALL)
    scores = encode(history_of(known), artifact) @ artifact.arrays["item_vectors"].T
    popularity = np.broadcast_to(known.sum(axis=0), known.shape)
    assert hit_rate(scores, known, held_out) > hit_rate(popularity, known, held_out) + 0.1


def test_the_artefact_says_how_it_came_about_and_keeps_nothing_of_a_user(fitted):
    history, _, artifact = fitted
    assert artifact.meta["parameters"] == asdict(SMALL)
    assert artifact.meta["rows"] == USERS
    assert artifact.meta["metrics"]["edges"] == history.matrix.nnz
    assert artifact.meta["log"] == []
    assert artifact.arrays["item_ids"].dtype.kind == "U"
    assert not [name for name, array in artifact.arrays.items() if USERS in array.shape]


def test_the_same_seed_gives_the_same_bits_and_a_reload_too(fitted, tmp_path):
    history, _, artifact = fitted
    expected = encode(history, artifact)
    np.testing.assert_array_equal(encode(history, fit(history, SMALL)), expected)
    ArtifactStore(tmp_path).fit("graph", "key", lambda: artifact)
    np.testing.assert_array_equal(encode(history, ArtifactStore(tmp_path).load("graph-key")), expected)
    random = replace(SMALL, base="random")
    other = encode(history, fit(history, replace(random, seed=8)))
    assert np.abs(other - encode(history, fit(history, random))).max() > 0.1


def test_a_vector_depends_on_nobody_else_and_not_on_new_items_or_their_order(fitted):
    history, _, artifact = fitted
    order = np.random.default_rng(5).permutation(ITEMS)
    later = sparse.hstack([history.matrix[[7, 390]][:, order], np.ones((2, 1))], format="csr")
    seen = replace(history_of(later), item_ids=np.append(history.item_ids[order], "new").astype(np.str_))
    np.testing.assert_array_equal(encode(seen, artifact), encode(history, artifact)[[7, 390]])


def test_how_much_somebody_does_is_not_in_the_vector(fitted):
    history, _, artifact = fitted
    more = replace(history, matrix=history.matrix * np.float32(4))
    np.testing.assert_allclose(encode(more, artifact), encode(history, artifact), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(encode(history, artifact), axis=1), 1, atol=1e-5)


def test_who_has_no_known_item_has_a_vector_of_zeros(fitted):
    artifact = fitted[2]
    rows = np.zeros((3, ITEMS))
    rows[1, 4] = 2
    assert np.abs(encode(history_of(rows), artifact)).sum(axis=1).astype(bool).tolist() == [
        False,
        True,
        False,
    ]
    assert encode(history_of(rows[:0]), artifact).shape == (0, 8)


@pytest.mark.parametrize("base", ["svd", "random"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (4, 5)])
def test_an_empty_graph_gives_zeros(shape, base):
    history = history_of(np.zeros(shape))
    vectors = encode(history, fit(history, replace(SMALL, base=base)))
    assert vectors.shape == (shape[0], 8)
    assert not vectors.any()


@pytest.mark.parametrize("base", ["svd", "random"])
@pytest.mark.parametrize("rows", [[[0, 2, 1]], [[3.0]], [[1, 0], [0, 1]], [[1, 1], [1, 1]]])
def test_tiny_graphs_give_finite_vectors(rows, base):
    history = history_of(np.array(rows))
    vectors = encode(history, fit(history, replace(SMALL, base=base)))
    assert len(vectors) == len(rows)
    assert np.isfinite(vectors).all()


def test_two_islands_are_two_groups():
    island = np.ones((10, 6))
    history = history_of(np.block([[island, 0 * island], [0 * island, island]]))
    vectors = encode(history, fit(history, SMALL))
    assert agreement_of_two(vectors) == 1


def agreement_of_two(vectors):
    return adjusted_rand_score(
        np.repeat([0, 1], 10), KMeans(2, n_init=5, random_state=0).fit_predict(vectors)
    )


def test_a_sample_of_the_users_makes_the_graph_and_all_get_vectors(fitted):
    history, groups, _ = fitted
    artifact = fit(history, replace(SMALL, max_training_users=250))
    assert artifact.meta["metrics"]["training_rows"] == 250
    assert agreement(encode(history, artifact), groups) > 0.5


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_affinities_that_make_no_graph_are_refused(fitted, value):
    broken = history_of(np.array([[1.0, value]]))
    with pytest.raises(ValueError, match="must be finite and at least 0"):
        fit(broken, SMALL)
    with pytest.raises(ValueError, match="must be finite and at least 0"):
        encode(broken, fitted[2])


def test_an_unknown_base_is_refused():
    with pytest.raises(ValueError, match="Unknown base 'pca': take svd or random"):
        Parameters(base="pca")
