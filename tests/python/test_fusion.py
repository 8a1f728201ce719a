import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from manyfaces.embeddings import fusion
from manyfaces.embeddings.fusion import attributes_block, behaviour_block, fuse, standardise


@pytest.fixture
def blocks():
    random = np.random.default_rng(3)
    return {"wide": random.normal(5, 100, (80, 20)), "narrow": random.normal(0, 0.01, (80, 2))}


def distances(vectors):
    return np.linalg.norm(vectors[:, None] - vectors[None], axis=2)


def test_equal_weights_give_equal_shares_whatever_the_unit_and_width(blocks):
    artifact = fuse(blocks, {"wide": 1, "narrow": 1}, 22)
    assert artifact.meta["metrics"]["shares"] == {"narrow": 0.5, "wide": 0.5}
    assert artifact.meta["metrics"]["explained_variance"] == pytest.approx(1)


def test_a_doubled_weight_quadruples_the_variance(blocks):
    shares = fuse(blocks, {"wide": 1, "narrow": 2}, 22).meta["metrics"]["shares"]
    assert shares["narrow"] == pytest.approx(4 * shares["wide"], rel=1e-4)


def test_all_dimensions_keep_the_distances_of_the_weighted_blocks(blocks):
    vectors = fuse(blocks, {"wide": 1, "narrow": 0.5}, 22).arrays["vectors"]
    joint = np.hstack([0.5 * standardise(blocks["narrow"]), standardise(blocks["wide"])])
    np.testing.assert_allclose(distances(vectors), distances(joint), atol=1e-4)


def test_the_reduction_equals_principal_components(blocks):
    vectors = fuse(blocks, {"wide": 1, "narrow": 1}, 4).arrays["vectors"]
    joint = np.hstack([standardise(blocks["narrow"]), standardise(blocks["wide"])])
    reference = PCA(4, svd_solver="full").fit_transform(joint)
    np.testing.assert_allclose(np.abs(vectors), np.abs(reference), atol=1e-4)


def test_weight_zero_removes_a_block_without_a_trace(blocks):
    alone = fuse({"wide": blocks["wide"]}, {"wide": 1}, 5)
    broken = np.full((80, 3), np.nan)
    for extra in (blocks["narrow"], broken, np.zeros((7, 1))):
        with_zero = fuse(blocks | {"narrow": extra}, {"wide": 1, "narrow": 0}, 5)
        assert with_zero.meta == alone.meta
        for name in alone.arrays:
            np.testing.assert_array_equal(with_zero.arrays[name], alone.arrays[name])
    unnamed = fuse(blocks, {"wide": 1}, 5)
    np.testing.assert_array_equal(unnamed.arrays["vectors"], alone.arrays["vectors"])


def test_the_order_of_blocks_and_weights_has_no_influence(blocks):
    turned = fuse(dict(reversed(blocks.items())), {"narrow": 1, "wide": 2}, 5)
    np.testing.assert_array_equal(
        turned.arrays["vectors"], fuse(blocks, {"wide": 2, "narrow": 1}, 5).arrays["vectors"]
    )


def test_signs_are_fixed(blocks):
    components = fuse(blocks, {"wide": 1, "narrow": 1}, 5).arrays["components"]
    largest = np.abs(components).argmax(axis=1)
    assert (components[range(5), largest] > 0).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"wide": 1, "widest": 1}, "unknown block 'widest': known are narrow, wide"),
        ({"wide": 0, "narrow": 0}, "All fusion weights are 0"),
        ({}, "All fusion weights are 0"),
        ({"wide": -1, "narrow": 1}, "weight of 'wide' is -1"),
        ({"wide": np.nan, "narrow": 1}, "weight of 'wide' is nan"),
    ],
)
def test_wrong_weights_are_refused_with_a_reason(blocks, weights, message):
    with pytest.raises(ValueError, match=message):
        fuse(blocks, weights, 5)


def test_a_used_block_must_be_finite_and_fit_the_others(blocks):
    damaged = blocks["narrow"].copy()
    damaged[3, 1] = np.nan
    with pytest.raises(ValueError, match="'narrow' holds values that are not finite"):
        fuse(blocks | {"narrow": damaged}, {"wide": 1, "narrow": 1}, 5)
    with pytest.raises(ValueError, match="differ in their number of users"):
        fuse(blocks | {"narrow": blocks["narrow"][:9]}, {"wide": 1, "narrow": 1}, 5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (5, 0), (5, 1), (3, 9)])
@pytest.mark.parametrize("fill", [0.0, 0.1])
def test_constant_and_tiny_blocks_give_zeros(shape, fill):
    artifact = fuse({"flat": np.full(shape, fill)}, {"flat": 1}, 32)
    assert artifact.arrays["vectors"].shape == (shape[0], min(shape))
    assert not artifact.arrays["vectors"].any()
    assert artifact.meta["metrics"] == {"explained_variance": 0.0, "shares": {"flat": 0.0}}


def test_a_constant_block_beside_another_changes_nothing(blocks):
    alone = fuse(blocks, {"wide": 1}, 5).arrays["vectors"]
    beside = fuse(blocks | {"narrow": np.full((80, 2), 0.1)}, {"wide": 1, "narrow": 1}, 5).arrays["vectors"]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_row_blocks_do_not_change_the_result(blocks, monkeypatch):
    whole = fuse(blocks, {"wide": 1, "narrow": 1}, 5).arrays["vectors"]
    monkeypatch.setattr(fusion, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(fuse(blocks, {"wide": 1, "narrow": 1}, 5).arrays["vectors"], whole, atol=2e-6)


def test_tastes_weigh_more_than_activity():
    random = np.random.default_rng(1)
    activity, mix = random.normal(size=(200, 6)), sparse.csr_array(random.random((200, 12)) ** 4)
    block = behaviour_block(activity, mix)
    variances = block.var(axis=0)
    assert block.shape == (200, 18)
    assert variances[:6].sum() == pytest.approx(fusion.ACTIVITY_SHARE)
    assert variances.sum() == pytest.approx(1)


def test_the_mix_of_categories_counts_and_not_the_amount():
    mix = np.array([[1.0, 2, 0, 0], [0, 0, 3, 1], [2, 2, 0, 0], [0, 0, 1, 5]])
    light = behaviour_block(np.zeros((4, 1)), sparse.csr_array(mix))
    alike = [np.linalg.norm(light[0] - light[2]), np.linalg.norm(light[1] - light[3])]
    apart = [np.linalg.norm(light[0] - light[1]), np.linalg.norm(light[2] - light[3])]
    assert max(alike) < min(apart)
    only_more = behaviour_block(np.zeros((2, 1)), sparse.csr_array(np.array([[0.01, 0], [500.0, 0]])))
    np.testing.assert_allclose(only_more[0], only_more[1])


def test_one_huge_category_does_not_drown_the_others():
    mix = np.array([[100.0, 20, 0], [20.0, 20, 0], [100.0, 0, 20], [20.0, 0, 20]])
    block = behaviour_block(np.zeros((4, 1)), sparse.csr_array(mix))
    # Users 0 and 1 share their small taste and differ in the size of the common one.
    assert np.linalg.norm(block[0] - block[1]) < np.linalg.norm(block[0] - block[2])


def test_one_whale_does_not_take_the_activity_over():
    activity = np.random.default_rng(1).normal(size=(200, 2))
    activity[0, 0] = 1e6
    block = behaviour_block(activity, sparse.csr_array((200, 3)))
    assert block[:, 1].var() > 0.9 * block.var(axis=0).sum()
    assert abs(block[0, 0]) < 10


@pytest.mark.filterwarnings("error")
def test_missing_activity_counts_as_average_and_nothing_crashes():
    activity = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan], [2.0, 8.0, np.nan]])
    block = behaviour_block(activity, sparse.csr_array((3, 2)))
    assert np.isfinite(block).all()
    assert block[0, 1] == 0
    assert not block[:, 2:].any()
    assert behaviour_block(np.zeros((0, 3)), sparse.csr_array((0, 0))).shape == (0, 3)
    assert behaviour_block(np.zeros((2, 0)), sparse.csr_array((2, 2))).shape == (2, 2)


def test_attributes_become_columns_of_zero_and_one_and_unknown_is_zeros():
    frame = pl.DataFrame(
        {"age_band": ["25-34", None, "65+"], "gender": ["f", "m", None], "region": [None, None, None]},
        schema_overrides={"region": pl.String},
    )
    expected = [[1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    np.testing.assert_array_equal(attributes_block(frame), expected)
    assert attributes_block(frame.select("region")).shape == (3, 0)
    assert attributes_block(frame.clear()).shape == (0, 0)
