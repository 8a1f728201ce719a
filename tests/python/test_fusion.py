import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from manyfaces.embeddings import blocks as block_module
from manyfaces.embeddings.blocks import Block, Preparation, attribute_block
from manyfaces.embeddings.fusion import fuse, project
from manyfaces.store import ArtifactStore


@pytest.fixture
def blocks():
    random = np.random.default_rng(3)
    return {"wide": Block(random.normal(5, 100, (80, 20))), "narrow": Block(random.normal(0, 0.01, (80, 2)))}


def prepared(block):
    return np.concatenate(list(Preparation.learn(block).parts(block)))


def vectors_of(blocks, weights, dims):
    return project(blocks, fuse(blocks, weights, dims))


def categories(*rows):
    return Block(sparse.csr_array(np.array(rows, dtype=float)), kind="categories")


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
    vectors = vectors_of(blocks, {"wide": 1, "narrow": 0.5}, 22)
    joint = np.hstack([0.5 * prepared(blocks["narrow"]), prepared(blocks["wide"])])
    np.testing.assert_allclose(distances(vectors), distances(joint), atol=1e-4)


def test_the_reduction_equals_principal_components(blocks):
    vectors = vectors_of(blocks, {"wide": 1, "narrow": 1}, 4)
    joint = np.hstack([prepared(blocks["narrow"]), prepared(blocks["wide"])])
    reference = PCA(4, svd_solver="full").fit_transform(joint)
    np.testing.assert_allclose(np.abs(vectors), np.abs(reference), atol=1e-4)


def test_weight_zero_removes_a_block_without_a_trace(blocks):
    alone = fuse({"wide": blocks["wide"]}, {"wide": 1}, 5)
    broken = Block(np.full((80, 3), np.nan))
    for extra in (blocks["narrow"], broken, Block(np.zeros((7, 1)))):
        with_zero = fuse(blocks | {"narrow": extra}, {"wide": 1, "narrow": 0}, 5)
        assert with_zero.meta == alone.meta
        for name in alone.arrays:
            np.testing.assert_array_equal(with_zero.arrays[name], alone.arrays[name])


def test_the_order_of_blocks_and_weights_has_no_influence(blocks):
    turned = vectors_of(dict(reversed(blocks.items())), {"narrow": 1, "wide": 2}, 5)
    np.testing.assert_array_equal(turned, vectors_of(blocks, {"wide": 2, "narrow": 1}, 5))


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
    damaged = blocks["narrow"].values.copy()
    damaged[3, 1] = np.nan
    with pytest.raises(ValueError, match="'narrow' holds values that are not finite"):
        fuse(blocks | {"narrow": Block(damaged)}, {"wide": 1, "narrow": 1}, 5)
    with pytest.raises(ValueError, match="differ in their number of users"):
        fuse(blocks | {"narrow": Block(damaged[:9])}, {"wide": 1, "narrow": 1}, 5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (5, 0), (5, 1), (3, 9)])
@pytest.mark.parametrize("fill", [0.0, 0.1])
def test_constant_and_tiny_blocks_give_zeros(shape, fill):
    flat = {"flat": Block(np.full(shape, fill))}
    artifact = fuse(flat, {"flat": 1}, 32)
    vectors = project(flat, artifact)
    assert vectors.shape == (shape[0], min(shape))
    assert not vectors.any()
    assert artifact.meta["metrics"] == {"explained_variance": 0.0, "shares": {"flat": 0.0}}


def test_a_constant_block_beside_another_changes_nothing(blocks):
    alone = vectors_of(blocks, {"wide": 1}, 5)
    beside = vectors_of(blocks | {"narrow": Block(np.full((80, 2), 0.1))}, {"wide": 1, "narrow": 1}, 5)
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_row_blocks_do_not_change_the_result(blocks, monkeypatch):
    whole = vectors_of(blocks, {"wide": 1, "narrow": 1}, 5)
    monkeypatch.setattr(block_module, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(vectors_of(blocks, {"wide": 1, "narrow": 1}, 5), whole, atol=2e-6)


def test_what_was_learned_places_other_users_in_the_same_space(blocks, tmp_path):
    weights = {"wide": 1, "narrow": 0.5}
    stored = ArtifactStore(tmp_path).fit("fusion", "key", lambda: fuse(blocks, weights, 6))
    whole = project(blocks, stored)
    np.testing.assert_array_equal(whole, vectors_of(blocks, weights, 6))
    some = {name: Block(block.values[10:20]) for name, block in blocks.items()}
    np.testing.assert_array_equal(project(some, stored), whole[10:20])


def test_columns_are_matched_by_name():
    values = np.array([[4.0, 0, 1], [0, 3, 1], [2, 2, 0], [0, 1, 5]])
    old = {"categories": Block(sparse.csr_array(values), ["tea", "milk", "bread"], "categories")}
    artifact = fuse(old, {"categories": 1}, 3)
    turned = values[:, [2, 0, 1]]
    now = np.hstack([turned, np.full((4, 1), 9.0)])
    new = {"categories": Block(sparse.csr_array(now), ["bread", "tea", "milk", "unheard of"], "categories")}
    np.testing.assert_array_equal(project(new, artifact), project(old, artifact))
    without = {"categories": Block(sparse.csr_array(values[:, :2]), ["tea", "milk"], "categories")}
    assert project(without, artifact).shape == (4, 3)


def test_the_mix_of_categories_counts_and_not_the_amount():
    block = prepared(categories([1, 2, 0, 0], [0, 0, 3, 1], [2, 2, 0, 0], [0, 0, 1, 5]))
    alike = [np.linalg.norm(block[0] - block[2]), np.linalg.norm(block[1] - block[3])]
    apart = [np.linalg.norm(block[0] - block[1]), np.linalg.norm(block[2] - block[3])]
    assert max(alike) < min(apart)
    only_more = prepared(categories([0.01, 0], [500, 0], [0, 1]))
    np.testing.assert_allclose(only_more[0], only_more[1])


def test_one_huge_category_does_not_drown_the_others():
    block = prepared(categories([100, 20, 0], [20, 20, 0], [100, 0, 20], [20, 0, 20]))
    # Users 0 and 1 share their small taste and differ in the size of the common one.
    assert np.linalg.norm(block[0] - block[1]) < np.linalg.norm(block[0] - block[2])


def test_one_whale_does_not_take_the_activity_over():
    activity = np.random.default_rng(1).normal(size=(200, 2))
    activity[0, 0] = 1e6
    block = prepared(Block(activity, kind="activity"))
    assert block[:, 1].var() > 0.9 * block.var(axis=0).sum()
    assert abs(block[0, 0]) < 10


@pytest.mark.filterwarnings("error")
def test_missing_activity_counts_as_average_and_nothing_crashes():
    activity = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan], [2.0, 8.0, np.nan]])
    block = prepared(Block(activity, kind="activity"))
    assert np.isfinite(block).all()
    assert not block[:, 2:].any()
    for kind in ("activity", "categories", "directions"):
        for shape in [(0, 3), (2, 0), (0, 0), (1, 2)]:
            flat = {"block": Block(np.zeros(shape), kind=kind)}
            assert vectors_of(flat, {"block": 1}, 4).shape == (shape[0], min(shape))


def test_attributes_become_columns_of_zero_and_one_and_unknown_is_zeros():
    frame = pl.DataFrame(
        {"age_band": ["25-34", None, "65+"], "gender": ["f", "m", None], "region": [None, None, None]},
        schema_overrides={"region": pl.String},
    )
    block = attribute_block(frame)
    np.testing.assert_array_equal(block.values, [[1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]])
    assert block.names.tolist() == ["age_band=25-34", "age_band=65+", "gender=f", "gender=m"]
    assert attribute_block(frame.select("region")).values.shape == (3, 0)
    assert attribute_block(frame.clear()).values.shape == (0, 0)
