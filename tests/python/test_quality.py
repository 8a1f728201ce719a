import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from manyfaces.segments.quality import Quality, measure_quality, segment_means


@pytest.fixture
def blobs():
    return make_blobs(300, 4, centers=4, random_state=3)


def test_indices_equal_scikit_learn(blobs):
    vectors, labels = blobs
    quality = measure_quality(vectors, labels)
    assert quality.clusters == 4
    assert quality.silhouette == pytest.approx(silhouette_score(vectors, labels), abs=1e-6)
    assert quality.calinski_harabasz == pytest.approx(calinski_harabasz_score(vectors, labels), abs=1e-6)
    assert quality.davies_bouldin == pytest.approx(davies_bouldin_score(vectors, labels), abs=1e-6)
    assert quality.noise_share == 0
    assert quality.smallest_share == 0.25


def test_dunn_by_hand():
    # Centres at 1 and 12; mean distances to them are 1 and 2.
    vectors = np.array([[0.0], [2.0], [10.0], [14.0]])
    assert measure_quality(vectors, np.array([0, 0, 1, 1])).dunn == pytest.approx(11 / 2)


def test_noise_counts_only_in_its_own_share(blobs):
    vectors, labels = blobs
    noisy = np.vstack([vectors, np.full((100, 4), 1e3)])
    quality = measure_quality(noisy, np.append(labels, np.full(100, -1)))
    alone = measure_quality(vectors, labels)
    assert (quality.silhouette, quality.dunn) == (alone.silhouette, alone.dunn)
    assert quality.noise_share == 0.25
    assert quality.smallest_share == pytest.approx(75 / 400)


def test_numbers_of_segments_need_not_be_consecutive(blobs):
    vectors, labels = blobs
    assert measure_quality(vectors, labels * 7) == measure_quality(vectors, labels)


def test_sampled_silhouette_is_near_and_repeatable():
    vectors, labels = make_blobs(4_000, 4, centers=4, random_state=3)
    sampled = measure_quality(vectors, labels, seed=5, sample_size=1_000)
    assert sampled == measure_quality(vectors, labels, seed=5, sample_size=1_000)
    exact = measure_quality(vectors, labels, sample_size=4_000).silhouette
    assert exact == pytest.approx(silhouette_score(vectors, labels), abs=1e-6)
    assert sampled.silhouette != exact
    assert sampled.silhouette == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    ("vectors", "labels", "expected"),
    [
        (np.zeros((0, 3)), [], Quality(0, None, None, None, None, None, None)),
        (np.zeros((1, 3)), [0], Quality(1, None, None, None, None, 0.0, 1.0)),
        (np.eye(2), [0, 1], Quality(2, None, None, None, None, 0.0, 0.5)),
        (np.eye(3), [-1, -1, -1], Quality(0, None, None, None, None, 1.0, None)),
        (np.eye(4), [0, 0, 0, 0], Quality(1, None, None, None, None, 0.0, 1.0)),
        (np.eye(3), [0, 1, 2], Quality(3, None, None, None, None, 0.0, 0.333333)),
    ],
    ids=["nobody", "one user", "two users", "all noise", "one segment", "a segment each"],
)
@pytest.mark.filterwarnings("error")
def test_degenerate_segmentations_have_no_indices(vectors, labels, expected):
    assert measure_quality(vectors, np.array(labels, dtype=int)) == expected


@pytest.mark.filterwarnings("error")
def test_segments_without_extent_have_a_silhouette_only():
    quality = measure_quality(np.repeat(np.eye(2), 3, axis=0), np.repeat([0, 1], 3))
    assert quality.silhouette == 1
    assert (quality.calinski_harabasz, quality.davies_bouldin, quality.dunn) == (None, None, None)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="3 vectors but 2 labels"):
        measure_quality(np.eye(3), np.array([0, 1]))


def test_segment_means():
    means = segment_means(np.array([[0.0, 0], [2, 2], [5, 5]]), np.array([1, 1, 0]), 2)
    np.testing.assert_allclose(means, [[5, 5], [1, 1]])
