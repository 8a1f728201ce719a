import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import pdist

from manyfaces.segments.positions import POSITION_SCHEMA, map_positions, position_frame
from manyfaces.store import ArtifactStore


def frame(vectors):
    keys = [f"u{number:04d}" for number in range(len(vectors))]
    return pl.DataFrame(
        {"user_key": keys, "vector": np.asarray(vectors, np.float32).tolist()},
        schema={"user_key": pl.String, "vector": pl.List(pl.Float32)},
    )


def test_plane_in_many_dimensions_keeps_its_distances():
    random = np.random.default_rng(1)
    plane = random.normal(size=(200, 2)) * [3, 1]
    axes = np.linalg.qr(random.normal(size=(10, 2)))[0]
    positions = map_positions(plane @ axes.T + 5)
    ratio = pdist(positions) / pdist(plane)
    assert ratio.std() / ratio.mean() < 1e-4
    assert positions[:, 0].std() > positions[:, 1].std()
    assert (np.abs(positions) <= 1).mean() >= 0.99


def test_sign_is_fixed():
    vectors = np.random.default_rng(2).normal(size=(50, 5))
    mirrored = map_positions(-vectors)
    np.testing.assert_allclose(mirrored, -map_positions(vectors), atol=2e-6)


def test_frame_is_ordered_and_does_not_depend_on_the_order_of_rows(tmp_path):
    users = frame(np.random.default_rng(3).normal(size=(40, 6)))
    first = position_frame(users, ArtifactStore(tmp_path / "a"))
    second = position_frame(users.sample(fraction=1, shuffle=True, seed=1), ArtifactStore(tmp_path / "b"))
    assert first.equals(second)
    assert first.schema == POSITION_SCHEMA
    assert first["user_key"].is_sorted()


@pytest.mark.parametrize(
    "vectors",
    [np.zeros((0, 4)), np.ones((1, 4)), np.ones((5, 4)), np.zeros((3, 0)), np.arange(4.0).reshape(4, 1)],
    ids=["nobody", "one user", "all equal", "no dimensions", "one dimension"],
)
@pytest.mark.filterwarnings("error")
def test_degenerate_vectors(vectors, tmp_path):
    positions = position_frame(frame(vectors), ArtifactStore(tmp_path))
    assert positions.schema == POSITION_SCHEMA
    assert positions.height == len(vectors)
    assert np.isfinite(positions.select("x", "y").to_numpy()).all()
    assert (positions["y"] == 0).all()


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"map: 1 of 2 user vectors hold NaN.*u0001"):
        position_frame(frame([[1, 2], [np.nan, 1]]), ArtifactStore(tmp_path))
