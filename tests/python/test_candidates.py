import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from segment_users import champion_of, inputs_of, planted, spec_of
from sklearn.cluster import KMeans

from manyfaces.segments import kmeans
from manyfaces.segments.algorithms import ALGORITHMS
from manyfaces.segments.candidates import candidate_row, elect, elect_groups
from manyfaces.segments.gap import gap_sample, gap_statistic, reference_sets, spread_within
from manyfaces.segments.inputs import NOISE
from manyfaces.segments.kmeans import fit_kmeans
from manyfaces.segments.quality import Quality
from manyfaces.segments.settings import (
    ALGORITHM_SETTINGS,
    DEFAULT_VOTE,
    INDICES,
    REQUIRED,
    setting_problem,
    settings_of,
)
from manyfaces.segments.stability import half_sample_stability

SPEC = {"name": "taste", "encoder": "fused", "algorithm": "kmeans", "candidates": [3, 4, 5, 6, 7, 8]}


def divide_by(number):
    return lambda points: KMeans(number, n_init=4, random_state=1).fit(points).labels_


# --- the gap statistic --------------------------------------------------------------------------


def test_gap_by_its_definition():
    points = np.random.default_rng(0).normal(size=(60, 3))
    references = [np.random.default_rng(seed).uniform(size=(60, 3)) for seed in (1, 2, 3)]

    def log_within(data):
        labels = divide_by(3)(data)
        # Tibshirani's W: half the sum of all pairwise squared distances within, over the size.
        squares = [
            cdist(data[labels == one], data[labels == one], "sqeuclidean").sum() / 2 / (labels == one).sum()
            for one in range(3)
        ]
        return np.log(sum(squares))

    gap, error = gap_statistic(points, divide_by(3)(points), references, divide_by(3))
    logs = np.array([log_within(reference) for reference in references])
    assert gap == pytest.approx(logs.mean() - log_within(points), abs=1e-6)
    assert error == pytest.approx(logs.std() * np.sqrt(4 / 3), abs=1e-6)


def test_gap_rises_to_the_planted_number_and_not_beyond():
    points, _ = planted(400, dims=4, segments=4, outliers=0)
    points = points.astype(float)
    references = reference_sets(points, 0)
    gaps = {
        number: gap_statistic(points, divide_by(number)(points), references, divide_by(number))
        for number in (2, 3, 4, 5, 6)
    }
    assert gaps[2][0] < gaps[3][0] < gaps[4][0]
    # The rule of Tibshirani et al.: the first number that the next one does not beat by its error.
    assert gaps[4][0] >= gaps[5][0] - gaps[5][1]


def test_references_fill_the_box_of_the_main_directions():
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    points = np.random.default_rng(0).uniform([-10, -1], [10, 1], (2_000, 2)) @ turn + 7
    reference = (reference_sets(points, 0)[0] - 7) @ turn.T
    assert len(reference_sets(points, 0)) == 5
    np.testing.assert_allclose(np.abs(reference).max(axis=0), [10, 1], rtol=0.15)
    assert abs(np.corrcoef(reference.T)[0, 1]) < 0.1
    np.testing.assert_array_equal(reference_sets(points, 0)[4], reference_sets(points, 0)[4])


def test_gap_of_points_does_not_hang_on_one_bad_start():
    # From one start k-means misses one of these six groups, and their gap would be below that of five.
    points, _ = planted(1_000, seed=6)
    rows = fit_kmeans(SPEC | {"candidates": [5, 6]}, inputs_of(points)).candidates
    gaps = {row["clusters"]: row["gap"] for row in rows}
    assert gaps[6] > gaps[5] + 0.01


def test_gap_without_spread_or_references_is_not_defined():
    points, labels = np.repeat(np.eye(3), 2, axis=0), np.repeat([0, 1, 2], 2)
    assert gap_statistic(points, labels, [points], lambda _: labels) == (None, None)
    assert gap_statistic(points, labels, [], divide_by(2)) == (None, None)
    assert spread_within(np.array([[0.0], [2.0], [5.0]]), np.array([4, 4, 9])) == 2


def test_gap_sample_is_bounded_and_repeatable():
    assert gap_sample(10, 0).tolist() == list(range(10))
    rows = gap_sample(50_000, 3)
    assert len(np.unique(rows)) == 2_000
    np.testing.assert_array_equal(rows, gap_sample(50_000, 3))


# --- stability ----------------------------------------------------------------------------------


def test_stability_is_one_for_the_same_and_near_zero_for_chance():
    random = np.random.default_rng(0)
    points, labels = np.zeros((400, 1)), random.integers(0, 4, 400)
    same = half_sample_stability(points, labels, lambda half: lambda _: labels, 0)
    chance = half_sample_stability(points, labels, lambda half: lambda _: random.integers(0, 4, 400), 0)
    assert same == 1
    assert abs(chance) < 0.05


def test_noise_is_left_out_of_stability_and_nothing_gives_none():
    labels = np.array([0, 0, 1, 1, -1, -1])
    again = np.array([5, 5, 6, -1, 7, 5])
    assert half_sample_stability(np.zeros((6, 1)), labels, lambda half: lambda _: again, 0) == 1
    assert half_sample_stability(np.zeros((6, 1)), labels, lambda half: None, 0) is None
    assert half_sample_stability(np.zeros((6, 1)), np.full(6, -1), lambda half: lambda _: again, 0) is None


# --- the vote -----------------------------------------------------------------------------------


def rows_of(**columns):
    """Rows for 3, 4, 5, ... segments with the given indices; the others are equal or absent."""
    count = len(next(iter(columns.values())))
    rows = []
    for place in range(count):
        quality = Quality(place + 3, 0.5, 100.0, 1.0, 1.0, 0.0, 0.1)
        rows.append(
            candidate_row(place + 3, quality, stability=0.8)
            | {name: values[place] for name, values in columns.items()}
        )
    return rows


def test_weights_decide_the_vote():
    columns = {"silhouette": [0.1, 0.5, 0.2], "stability": [0.85, 0.8, 0.75]}
    assert elect(rows_of(**columns), [3, 4, 5], 0, {"silhouette": 1, "stability": 3})["clusters"] == 3
    assert elect(rows_of(**columns), [3, 4, 5], 0, {"silhouette": 3, "stability": 1})["clusters"] == 4
    assert elect(rows_of(**columns), [3, 4, 5], 0, {"silhouette": 1})["clusters"] == 4


def test_reasons_name_weights_and_ranks():
    rows = rows_of(silhouette=[0.1, 0.5, 0.2])
    elect(rows, [3, 4, 5], 0, {"silhouette": 1, "stability": 3})
    assert (
        rows[1]["reason"] == "Chosen, 4 segments, mean rank 1.8 of 3: silhouette 1, stability 2 (weight 3)."
    )
    assert rows[0]["mean_rank"] == 2.25
    assert [row["votes"] for row in rows] == [1, 2, 1]


def test_an_index_that_no_candidate_has_does_not_vote():
    rows = rows_of(predictive=[None, None, None], dunn=[1, 3, 2])
    elect(rows, [3, 4, 5], 0, {"predictive": 9, "dunn": 1})
    assert rows[1]["reason"] == "Chosen, 4 segments, mean rank 1.0 of 3: dunn 1."
    nothing = rows_of(predictive=[None, None])
    assert elect(nothing, [3, 4], 0, {"predictive": 1})["clusters"] == 3
    assert nothing[0]["reason"] == "Chosen, 3 segments, mean rank 1.0 of 2."


def test_segments_that_refits_do_not_agree_on_are_out_if_others_are_better():
    columns = {"silhouette": [0.1, 0.2, 0.9], "stability": [0.71, 0.72, 0.4]}
    rows = rows_of(**columns)
    assert elect(rows, [3, 4, 5], 0, {"silhouette": 9, "stability": 1})["clusters"] == 4
    assert (
        rows[2]["reason"]
        == "Out: refits on half of the users agree only to 0.40, and other candidates reach 0.7."
    )
    assert rows[2]["mean_rank"] is None
    assert elect(rows_of(**columns), [3, 4, 5], 0, {"silhouette": 1})["clusters"] == 5
    none_agree = rows_of(silhouette=[0.1, 0.2, 0.9], stability=[0.5, 0.4, 0.3])
    assert elect(none_agree, [3, 4, 5], 0, {"silhouette": 9, "stability": 1})["clusters"] == 5


def test_groups_need_two_little_noise_and_no_small_one():
    def group(clusters, noise, smallest, **more):
        return (
            candidate_row(clusters, Quality(clusters, 0.5, 1.0, 1.0, 1.0, noise, smallest), stability=0.9)
            | more
        )

    good, better = group(2, 0.1, 0.3), group(3, 0.1, 0.2, silhouette=0.6)
    rows = [group(1, 0.0, 1.0), group(4, 0.7, 0.05), group(5, 0.1, 0.01), good, better]
    assert elect_groups(rows, 0.02, DEFAULT_VOTE) is better
    assert [row["reason"].split(":")[0] for row in rows[:3]] == ["Out"] * 3
    assert elect_groups([group(1, 0.0, 1.0), group(4, 0.7, 0.05)], 0, DEFAULT_VOTE)["clusters"] == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_the_vote_finds_six_planted_segments_among_ten_thousand_users(seed):
    vectors, _ = planted(10_000, seed=seed)
    found = fit_kmeans(SPEC | {"candidates": [4, 5, 6, 7, 8]}, inputs_of(vectors))
    assert champion_of(found)["clusters"] == 6


# --- the judge ----------------------------------------------------------------------------------


def test_a_judge_fills_its_index_and_votes(monkeypatch):
    monkeypatch.setattr(kmeans, "SCAN_USERS", 200)
    vectors, _ = planted(300, outliers=0)
    seen = []

    def judge(labels):
        seen.append(labels)
        return float(len(np.unique(labels[labels >= 0])) == 4)

    spec = SPEC | {"vote": {"predictive": 1}}
    found = fit_kmeans(spec, inputs_of(vectors, judge=judge))
    assert champion_of(found)["clusters"] == 4
    assert champion_of(found)["predictive"] == 1
    assert [row["predictive"] for row in found.candidates if row["clusters"] != 4] == [0.0] * 7
    assert all(len(labels) == 300 and (labels < NOISE).sum() == 100 for labels in seen)
    silent = fit_kmeans(spec, inputs_of(vectors, judge=lambda labels: np.nan))
    assert {row["predictive"] for row in silent.candidates} == {None}


def test_every_algorithm_asks_the_judge():
    vectors, _ = planted(150, dims=4, segments=3)
    labels = np.array(["a", "b", *[None] * 148], dtype=object)
    relations = sparse.csr_array(np.ones((150, 150)) - np.eye(150))
    inputs = inputs_of(vectors, labels=labels, relations=relations, judge=lambda labels: 0.25)
    for name, algorithm in ALGORITHMS.items():
        assert champion_of(algorithm.fit(spec_of(name), inputs))["predictive"] == 0.25, name


def test_where_centres_are_said_to_decide_the_nearest_one_does():
    vectors, _ = planted(200, dims=4)
    deciding = [name for name, algorithm in ALGORITHMS.items() if algorithm.is_centroid]
    assert deciding == ["kmeans", "ward"]
    for name in deciding:
        found = ALGORITHMS[name].fit(spec_of(name), inputs_of(vectors))
        np.testing.assert_array_equal(found.labels, cdist(vectors, found.centres).argmin(axis=1))


# --- refits from the last centres ---------------------------------------------------------------


def test_a_refit_keeps_number_and_order_of_the_centres():
    vectors, _ = planted(800)
    start = fit_kmeans(SPEC | {"candidates": [5]}, inputs_of(vectors)).centres
    moved = vectors + np.random.default_rng(0).normal(scale=0.05, size=vectors.shape).astype(np.float32)
    found = fit_kmeans(SPEC, inputs_of(moved, start=start))
    assert cdist(found.centres, start).argmin(axis=1).tolist() == list(range(5))
    reference = KMeans(5, init=start, n_init=1, tol=0).fit(moved.astype(float))
    np.testing.assert_array_equal(found.labels, reference.labels_)
    (row,) = found.candidates
    assert row["reason"] == "Refitted from the last centres, 5 segments: no new vote."
    assert row["is_champion"]
    assert all(row[name] is not None for name in INDICES if name != "predictive")


def test_a_refit_of_few_users_drops_centres_that_nobody_is_near():
    start = np.array([[0.0, 0], [5, 5], [50, 50]])
    found = fit_kmeans(SPEC, inputs_of([[0.1, 0], [5, 5.1]], start=start))
    np.testing.assert_allclose(found.centres, start[:2])
    assert found.candidates[0]["reason"] == "Kept the last centres: only 2 users differ."
    nobody = fit_kmeans(SPEC, inputs_of(np.zeros((0, 2)), start=start))
    assert nobody.candidates == []
    assert len(nobody.labels) == 0


def test_a_refit_in_another_space_is_refused():
    with pytest.raises(ValueError, match="not of one space"):
        fit_kmeans(SPEC, inputs_of(np.eye(3), start=np.eye(2)))


# --- settings -----------------------------------------------------------------------------------


def test_every_algorithm_has_settings_whose_defaults_are_right():
    assert ALGORITHMS.keys() == ALGORITHM_SETTINGS.keys()
    required = {"candidates": [3], "levels": [3]}
    for algorithm, table in ALGORITHM_SETTINGS.items():
        defaults = {
            name: setting.default for name, setting in table.items() if setting.default is not REQUIRED
        }
        assert setting_problem(algorithm, required | defaults) is None
        assert settings_of(required | {"algorithm": algorithm}).keys() == table.keys()
        assert None not in (
            settings_of(required | {"algorithm": algorithm})[name]
            for name in table
            if table[name].default is not None
        )


def test_null_means_the_default():
    assert settings_of({"algorithm": "dbscan", "min_samples": None, "max_fit_users": 5})["min_samples"] == 10
    assert DEFAULT_VOTE["stability"] == max(DEFAULT_VOTE.values())
    assert DEFAULT_VOTE.keys() == INDICES.keys()


@pytest.mark.parametrize(
    ("algorithm", "settings", "problem"),
    [
        ("kmeans", {}, "the setting 'candidates' is missing"),
        (
            "kmeans",
            {"candidates": [3], "vote": {"luck": 1}},
            "vote must be weights from 0 on, not all 0, of some",
        ),
        ("kmeans", {"candidates": [3], "vote": {"dunn": -1}}, "vote must be weights"),
        ("kmeans", {"candidates": [3], "vote": {"dunn": 0}}, "vote must be weights"),
        ("kmeans", {"candidates": [3], "vote": []}, "vote must be weights"),
        (
            "gaussian_mixture",
            {"candidates": [3], "covariance": "tied"},
            "covariance must be one of diag, full, not 'tied'",
        ),
        ("ward", {"levels": [1, 3]}, "levels must be a list of whole numbers from 2 on, not [1, 3]"),
        ("hdbscan", {"candidates": [True]}, "candidates must be a list of whole numbers from 2 on"),
        ("knn", {"neighbours": [0]}, "neighbours must be a list of whole numbers from 1 on"),
        ("knn", {"min_probability": 1.5}, "min_probability must be a number from 0 to 1, not 1.5"),
        ("dbscan", {"eps": float("nan")}, "eps must be a number above 0, or null for a search, not nan"),
        ("label_propagation", {"max_rounds": 0}, "max_rounds must be a whole number from 1 on, not 0"),
    ],
)
def test_wrong_settings_are_named(algorithm, settings, problem):
    assert setting_problem(algorithm, settings).startswith(problem)
