import json

import numpy as np
import polars as pl
import pytest
from dated import dated
from scipy.spatial.distance import cdist
from segment_users import keys, planted, spec_of
from sklearn.cluster import DBSCAN
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from manyfaces.frames import vector_matrix
from manyfaces.segments import density, kmeans
from manyfaces.segments.algorithms import ALGORITHMS
from manyfaces.segments.candidates import candidate_row, elect, elect_radius
from manyfaces.segments.clustering import (
    CANDIDATE_SCHEMA,
    CENTROID_SCHEMA,
    candidate_frame,
    centroid_frame,
    fit_segmentation,
)
from manyfaces.segments.density import knee_radius
from manyfaces.segments.inputs import FitInputs
from manyfaces.segments.kmeans import kmeans_from
from manyfaces.segments.lasting import DATED_SCHEMA
from manyfaces.segments.quality import Quality
from manyfaces.segments.settings import DEFAULT_VOTE
from manyfaces.segments.specs import python_specs, validate_spec
from manyfaces.segments.users import hash_sample
from manyfaces.store import ArtifactStore

TASTE = {"name": "taste", "encoder": "fused", "algorithm": "kmeans", "candidates": [3, 4, 5, 6, 7, 8, 10, 12]}
DENSITY = {
    "name": "density",
    "encoder": "vae",
    "algorithm": "dbscan",
    "min_samples": 10,
    "max_fit_users": 20_000,
}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def frame(vectors):
    return pl.DataFrame(
        {"user_key": keys(len(vectors)), "vector": np.asarray(vectors, np.float32).tolist()},
        schema={"user_key": pl.String, "vector": pl.List(pl.Float32)},
    )


def numbered(clusters):
    """The segments that users are in."""
    inside = clusters.filter(pl.col("cluster") >= 0)
    return inside.select("segmentation", "cluster", "segment_number", "run_id").unique().sort(pl.all())


def fit(spec, vectors, keys, store, seed=7, **more):
    return fit_segmentation(spec, FitInputs(vectors, keys, seed, **more), store)


def champion(artifact):
    return next(row for row in artifact.meta["candidates"] if row["is_champion"])


# --- the example of the articles ----------------------------------------------------------------


def test_worked_example_with_its_corrected_numbers():
    users = np.array([[1, 2], [2, 4], [3, 6], [4, 8], [5, 10]], dtype=float)
    assert np.linalg.norm(users[0] - users[2]) == pytest.approx(4.47, abs=0.005)
    assert np.linalg.norm(users[1] - users[0]) == pytest.approx(2.24, abs=0.005)
    start = np.array([users[[0, 2]].mean(axis=0), users[[1, 3, 4]].mean(axis=0)])
    labels, centres, inertia = kmeans_from(users, start)
    assert labels.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(centres, [[1.5, 3], [4, 8]])
    assert inertia == pytest.approx(12.5)


# --- k-means ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_segments_are_found_and_counted(store, seed):
    vectors, truth = planted(2_000, seed=seed)
    artifact = fit(TASTE | {"min_segment_share": 0.02}, vectors, keys(len(vectors)), store)
    assert champion(artifact)["clusters"] == 6
    inside = truth >= 0
    assert adjusted_rand_score(truth[inside], artifact.arrays["labels"][inside]) >= 0.95


def test_vote_finds_overlapping_segments_where_raw_indices_prefer_fewer(store):
    # Davies-Bouldin, Calinski-Harabasz and stability all prefer 4 or 5 here.
    random = np.random.default_rng(0)
    centres = random.uniform(-2, 2, (6, 16))
    vectors, _ = make_blobs([900, 700, 500, 400, 300, 200], 16, centers=centres, random_state=0)
    artifact = fit(TASTE | {"candidates": [4, 5, 6, 7, 8, 9, 10, 12, 14, 16]}, vectors, keys(3_000), store)
    assert champion(artifact)["clusters"] == 6


def test_result_describes_every_user(store):
    vectors, _ = planted(600)
    arrays = fit(TASTE, vectors, keys(600), store).arrays
    labels, centroids = arrays["labels"], arrays["centroids"]
    assert arrays["users"].tolist() == np.bincount(labels).tolist()
    assert (np.diff(arrays["users"]) <= 0).all()

    distances = cdist(vectors, centroids)
    assert (labels == distances.argmin(axis=1)).all()
    own, second = np.sort(distances, axis=1)[:, :2].T
    np.testing.assert_allclose(arrays["distance"], own, atol=1e-5)
    np.testing.assert_allclose(arrays["second_distance"], second, atol=1e-5)
    np.testing.assert_allclose(arrays["margin"], (second - own) / second, atol=1e-5)
    for number, radius in enumerate(arrays["radius"]):
        assert (own[labels == number] <= radius + 1e-5).mean() >= 0.98


def test_equal_sizes_are_numbered_by_smallest_key(store):
    vectors = np.array([[5.0], [0.0], [5.1], [0.1]])
    arrays = fit(TASTE | {"candidates": [2]}, vectors, keys(4), store).arrays
    assert arrays["labels"].tolist() == [0, 1, 0, 1]


def test_two_fits_from_scratch_are_identical(tmp_path):
    vectors, _ = planted(800)
    for spec in (TASTE, DENSITY):
        first, second = (fit(spec, vectors, keys(800), ArtifactStore(tmp_path / name)) for name in "ab")
        assert first.run_id == second.run_id
        assert first.meta["candidates"] == second.meta["candidates"]
        for name, array in first.arrays.items():
            np.testing.assert_array_equal(array, second.arrays[name])


def test_unchanged_input_is_fitted_once_and_changed_input_again(store, monkeypatch):
    vectors, _ = planted(200)
    first = fit(TASTE, vectors, keys(200), store)
    monkeypatch.setattr(kmeans, "KMeans", None)
    assert fit(TASTE, vectors, keys(200), store).run_id == first.run_id
    with pytest.raises(TypeError):
        fit(TASTE, vectors, keys(200), store, seed=8)


def test_many_users_are_scanned_on_a_sample_and_all_assigned(store, monkeypatch):
    vectors, truth = planted(3_000)
    for full in (500_000, 1_000):
        monkeypatch.setattr(kmeans, "SCAN_USERS", 700)
        monkeypatch.setattr(kmeans, "FULL_FIT_USERS", full)
        spec = TASTE | {"name": f"full_{full}"}
        labels = fit(spec, vectors, keys(3_000), store).arrays["labels"]
        assert adjusted_rand_score(truth[truth >= 0], labels[truth >= 0]) >= 0.95


def test_small_segments_disqualify(store):
    vectors, _ = planted(1_000)
    artifact = fit(TASTE | {"min_segment_share": 0.15}, vectors, keys(1_000), store)
    assert champion(artifact)["smallest_share"] >= 0.15
    out = [row for row in artifact.meta["candidates"] if row["reason"].startswith("Out: ")]
    assert out
    assert all(row["smallest_share"] < 0.15 and row["mean_rank"] is None for row in out)


# --- the vote -----------------------------------------------------------------------------------


def row(number, silhouette, smallest=0.2, stability=0.9, calinski=100.0, davies=1.0, dunn=1.0):
    quality = Quality(number, silhouette, calinski, davies, dunn, 0.0, smallest)
    return candidate_row(number, quality, stability=stability)


def test_ties_go_to_fewer_segments():
    rows = [row(number, 0.5) for number in (3, 4, 5)]
    assert elect(rows, [4, 5], 0, DEFAULT_VOTE)["clusters"] == 4
    assert [entry["is_champion"] for entry in rows] == [False, True, False]
    assert [entry["votes"] for entry in rows] == [None, 5, 5]
    assert rows[0]["reason"].startswith("Not in the list")


def test_indices_that_only_drift_decide_nothing():
    sizes = [2, 3, 4, 6, 8, 12]
    # Silhouette and Davies-Bouldin get better with ln k whatever the data; Dunn has a peak at 4.
    rows = [row(k, 0.1 * np.log(k), davies=3 - np.log(k), dunn=1.0 + (k == 4)) for k in sizes]
    assert elect(rows, sizes[1:-1], 0, DEFAULT_VOTE)["clusters"] == 4


def test_unstable_candidates_lose_and_more_than_enough_stability_wins_nothing():
    rows = [row(k, 0.5, stability=value) for k, value in ((3, 0.91), (4, 0.99), (5, 0.75))]
    assert elect(rows, [3, 4, 5], 0, DEFAULT_VOTE)["clusters"] == 3
    assert rows[2]["mean_rank"] > rows[1]["mean_rank"] == rows[0]["mean_rank"]


def test_when_all_are_out_the_largest_smallest_segment_wins():
    rows = [row(k, 0.5, smallest=0.1 / k) for k in (3, 4, 5)]
    chosen = elect(rows, [3, 4, 5], 0.2, DEFAULT_VOTE)
    assert chosen["clusters"] == 3
    assert "Chosen all the same" in chosen["reason"]


def test_radius_takes_the_knee_if_it_finds_two_groups():
    def candidate(clusters, noise, apart):
        quality = Quality(clusters, None, None, None, None, noise, 0.1)
        return candidate_row(clusters, quality) | {"apart_share": apart}

    two, four, one = candidate(2, 0.1, 0.2), candidate(4, 0.2, 0.6), candidate(1, 0.1, 0)
    assert elect_radius([two, four]) is two
    noisy, calm, calmer = candidate(4, 0.6, 0.5), candidate(3, 0.2, 0.4), candidate(2, 0.1, 0.3)
    assert elect_radius([one, noisy, calmer, calm]) is calm
    assert elect_radius([one, noisy]) is noisy
    rows = [candidate(1, 0.1, 0), candidate(0, 1.0, 0)]
    assert elect_radius(rows) is rows[0]
    assert "no segmentation" in rows[0]["reason"]


# --- DBSCAN -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_dense_groups_and_outliers_are_told_apart(store, seed):
    vectors, truth = planted(2_000, seed=seed)
    labels = fit(DENSITY, vectors, keys(2_000), store).arrays["labels"]
    found, outlier = labels < 0, truth < 0
    assert (found & outlier).sum() / found.sum() >= 0.8
    assert (found & outlier).sum() / outlier.sum() >= 0.8
    assert adjusted_rand_score(truth[~outlier], labels[~outlier]) >= 0.9


def test_given_radius_equals_dbscan(store):
    vectors, _ = make_blobs(500, 2, centers=4, cluster_std=1.2, random_state=4)
    vectors = (
        (vectors - vectors.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(vectors.T))).T
    ).round(6)
    labels = fit(DENSITY | {"eps": 0.2}, vectors, keys(500), store).arrays["labels"]
    # The projection whitens, which leaves already white data as they are but for a rotation.
    reference = DBSCAN(eps=0.2, min_samples=10).fit(vectors)
    core = reference.core_sample_indices_
    assert len(core) > 100
    assert adjusted_rand_score(reference.labels_[core], labels[core]) == 1
    assert ((reference.labels_ < 0) == (labels < 0)).all()


def test_a_radius_without_groups_is_all_noise(store):
    vectors, _ = planted(300)
    artifact = fit(DENSITY | {"eps": 1e-9}, vectors, keys(300), store)
    assert (artifact.arrays["labels"] == -1).all()
    assert np.isnan(artifact.arrays["distance"]).all()
    assert artifact.arrays["centroids"].shape == (0, 16)
    assert "no radius finds two groups" in champion(artifact)["reason"]


def test_users_outside_the_sample_join_the_nearest_dense_group(store):
    vectors, truth = planted(3_000)
    labels = fit(DENSITY | {"max_fit_users": 1_000}, vectors, keys(3_000), store).arrays["labels"]
    others = np.setdiff1d(np.arange(3_000), hash_sample(keys(3_000), 1_000))
    inside = others[truth[others] >= 0]
    assert adjusted_rand_score(truth[inside], labels[inside]) >= 0.9
    assert (labels[others[truth[others] < 0]] < 0).mean() >= 0.8


def test_small_groups_dissolve_into_noise(store):
    vectors, _ = make_blobs([400, 400, 30], 2, centers=[[0, 0], [30, 0], [0, 30]], random_state=2)
    for share, groups in ((0, 3), (0.1, 2)):
        spec = DENSITY | {"eps": 0.3, "min_segment_share": share, "name": f"share_{groups}"}
        assert champion(fit(spec, vectors, keys(830), store))["clusters"] == groups


def test_knee_is_where_the_curve_bends():
    curve = np.concatenate([np.linspace(1, 1.2, 90), np.linspace(1.3, 9, 10)])
    assert knee_radius(curve) == pytest.approx(1.2)
    assert knee_radius(np.full(5, 2.0)) == 2
    assert knee_radius(np.array([])) == 0


# --- input that is small, empty or wrong --------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((0, 4)),
        np.zeros((0, 0)),
        np.ones((1, 4)),
        np.ones((2, 4)),
        np.ones((200, 4)),
        np.eye(3),
        np.repeat(np.eye(2), 50, axis=0),
        np.zeros((40, 0)),
    ],
    ids=["nobody", "nothing", "one", "two equal", "constant", "three", "two points", "no dimensions"],
)
@pytest.mark.filterwarnings("error")
def test_degenerate_users_get_typed_rows(algorithm, vectors, store):
    spec = spec_of(algorithm)
    users = frame(vectors)
    labels = pl.DataFrame(
        {"user_key": ["user000000", "user000001", "ghost"], "label": ["red", "blue", "red"]}
    )
    relations = pl.DataFrame(
        {"user_key": ["user000000"], "related_user_key": ["user000001"], "weight": [1.0]},
    )
    clusters = dated([spec], users, store, labels=labels, relations=relations)
    assert clusters.schema == DATED_SCHEMA
    assert clusters["user_key"].to_list() == users["user_key"].to_list()
    runs = clusters["run_id"].unique().to_list()
    candidates, centroids = candidate_frame(runs, store), centroid_frame(numbered(clusters), store)
    assert candidates.schema == CANDIDATE_SCHEMA
    assert centroids.schema == CENTROID_SCHEMA
    assert candidates["is_champion"].sum() == len(runs)
    assert candidates["reason"].null_count() == 0
    assert centroids["users"].sum() == (clusters["cluster"] >= 0).sum()


def test_more_segments_than_users_are_not_tried(store):
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    artifact = fit(TASTE | {"candidates": [4, 50, 100]}, vectors, keys(6), store)
    assert champion(artifact)["clusters"] == 4
    assert [row["reason"] for row in artifact.meta["candidates"]][-2:] == [
        "Not tried: only 6 users differ."
    ] * 2
    fewer = fit(TASTE | {"candidates": [50]}, vectors, keys(6), store)
    assert champion(fewer)["clusters"] == 5


def test_one_user_is_one_segment(store):
    clusters = dated([TASTE], frame([[1.0, 2.0]]), store)
    assert clusters.select("cluster", "distance", "second_distance", "margin").row(0) == (0, 0.0, None, None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(value, store):
    vectors = np.ones((5, 3))
    vectors[3, 1] = value
    with pytest.raises(ValueError, match=r"Segmentation taste: 1 of 5 user vectors .* user000003"):
        fit(TASTE, vectors, keys(5), store)


def test_keys_must_ascend_and_be_unique(store):
    for wrong in (["b", "a"], ["a", "a"]):
        with pytest.raises(ValueError, match="sorted by key"):
            fit(TASTE, np.eye(2), wrong, store)
    with pytest.raises(ValueError, match="3 users need a matrix"):
        fit(TASTE, np.eye(2), keys(3), store)


def test_vectors_of_different_lengths_are_refused():
    ragged = pl.DataFrame({"user_key": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]})
    with pytest.raises(ValueError, match="of one length"):
        vector_matrix(ragged)
    with pytest.raises(ValueError, match="of one length"):
        vector_matrix(pl.DataFrame({"vector": pl.Series([None], dtype=pl.List(pl.Float32))}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "spectral"}, "the algorithm 'spectral' is unknown; known are dbscan, demographic, "),
        ({"algorithm": None}, "the algorithm None is unknown"),
        ({"eps": 1}, "kmeans has no setting 'eps'"),
        ({"candidates": None}, "the setting 'candidates' is missing"),
        ({"candidates": "6"}, "candidates must be a list of whole numbers"),
        ({"candidates": []}, "candidates must be a list of whole numbers"),
        ({"candidates": [4, 1]}, "candidates must be a list of whole numbers"),
        ({"candidates": [4, 5.5]}, "candidates must be a list of whole numbers"),
        ({"candidates": [4, True]}, "candidates must be a list of whole numbers"),
        ({"encoder": None}, "it needs an encoder"),
        ({"min_segment_share": 1}, "min_segment_share must be a number from 0 to below 1"),
        ({"min_segment_share": "2 %"}, "min_segment_share must be a number from 0 to below 1"),
    ],
)
def test_wrong_declarations_are_named(change, message):
    with pytest.raises(ValueError, match="Segmentation taste: ") as caught:
        validate_spec(TASTE | change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_samples": 1}, "min_samples must be a whole number from 2 on"),
        ({"max_fit_users": "all"}, "max_fit_users must be a whole number from 2 on"),
        ({"eps": 0}, "eps must be a number above 0"),
        ({"candidates": [3]}, "dbscan has no setting 'candidates'"),
    ],
)
def test_wrong_density_declarations_are_named(change, message):
    with pytest.raises(ValueError, match=f"Segmentation density: {message}"):
        validate_spec(DENSITY | change)


def test_wrong_lists_are_named():
    with pytest.raises(ValueError, match="must be a list of blocks"):
        python_specs({"name": "taste"})
    with pytest.raises(ValueError, match="Two segmentations have the name taste"):
        python_specs([TASTE, DENSITY, TASTE])
    with pytest.raises(ValueError, match="has no name"):
        python_specs([{"algorithm": "kmeans"}])
    with pytest.raises(ValueError, match="declared by a block"):
        python_specs(["taste"])


def test_segmentations_made_in_sql_are_passed_over():
    assert python_specs([{"name": "value", "algorithm": "rfm"}, TASTE]) == [TASTE]


# --- tables -------------------------------------------------------------------------------------


def test_tables_of_two_segmentations_fit_together(store):
    vectors, _ = planted(500)
    shuffled = frame(vectors).sample(fraction=1, shuffle=True, seed=2)
    clusters = dated([TASTE, DENSITY], shuffled, store)
    assert clusters["segmentation"].unique(maintain_order=True).to_list() == ["taste", "density"]
    assert clusters.group_by("segmentation").len()["len"].to_list() == [500, 500]
    assert clusters.filter(pl.col("cluster") < 0)["distance"].null_count() == (clusters["cluster"] < 0).sum()
    assert clusters["margin"].drop_nulls().is_between(0, 1).all()

    runs = sorted(clusters["run_id"].unique())
    centroids = centroid_frame(numbered(clusters), store)
    sizes = clusters.filter(pl.col("cluster") >= 0).group_by("segmentation", "cluster").len("users")
    joined = centroids.join(sizes, on=["segmentation", "cluster"], validate="1:1")
    assert (joined["users"] == joined["users_right"]).all()
    assert joined.height == centroids.height

    candidates = candidate_frame(runs, store)
    assert candidates.filter("is_champion")["segmentation"].sort().to_list() == ["density", "taste"]
    assert candidates.select("segmentation", "candidate").is_duplicated().sum() == 0
    assert json.loads(candidates.filter(segmentation="taste", is_champion=True)["parameters"][0]) == {"k": 6}


def test_nearest_centre_of_the_table_is_the_segment(store):
    vectors, _ = planted(400)
    clusters = dated([TASTE], frame(vectors), store)
    centroids = centroid_frame(numbered(clusters), store)
    nearest = cdist(vectors, np.array(centroids["centroid"].to_list())).argmin(axis=1)
    assert (nearest == clusters["cluster"].to_numpy()).all()


def test_hash_sample_is_stable_when_users_are_added():
    few, more = keys(1_000), keys(1_100)
    first, second = hash_sample(few, 100), hash_sample(more, 100)
    assert len(first) == len(second) == 100
    assert len(np.intersect1d(first, second)) > 80
    assert first[-1] > 800
    assert hash_sample(few[:50], 100).tolist() == list(range(50))


def test_density_scan_reaches_from_few_to_most_users():
    curve = np.sort(NearestNeighbors(n_neighbors=10).fit(planted(300)[0]).kneighbors()[0][:, -1])
    radii = density._radii(curve, None)
    assert radii[0][1] == "knee"
    assert min(radius for radius, _ in radii) < np.median(curve) < max(radius for radius, _ in radii)
