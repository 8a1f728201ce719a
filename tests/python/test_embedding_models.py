import importlib.util
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from manyfaces import frames, runs

MODELS = Path(__file__).parents[2] / "python_models"
ORDER = [
    "item_text_embeddings",
    "item_text_vectors",
    "user_text_embeddings",
    "user_vae_embeddings",
    "user_factors",
    "item_factors",
    "user_embeddings",
    "training_epochs",
    "learned_runs",
]
VECTOR = {"vector": pl.List(pl.Float32), "run_id": pl.String, "model_version": pl.String}
SCHEMAS = {
    "item_text_embeddings": {"text_index": pl.Int32, "text_key": pl.String} | VECTOR,
    "item_text_vectors": {"text_index": pl.Int32, "text_key": pl.String} | VECTOR,
    "item_factors": {"item_id": pl.String} | VECTOR,
    "training_epochs": runs.LOG_SCHEMA,
    "learned_runs": runs.RUNS_SCHEMA,
} | {
    name: {"user_key": pl.String} | VECTOR
    for name in ("user_text_embeddings", "user_vae_embeddings", "user_factors", "user_embeddings")
}
SETTINGS = {
    "seed": 7,
    "text_encoder": "tfidf",
    "text_pooling": "model",
    "text_batch_size": 8,
    "text_adapter": "none",
    "vae_latent_dims": 4,
    "vae_hidden_dims": 16,
    "vae_max_items": 15,
    "vae_max_training_users": 1000,
    "vae_max_epochs": 3,
    "vae_patience": 3,
    "vae_dropout": 0.5,
    "vae_max_beta": 0.2,
    "vae_learning_rate": 0.002,
    "factor_dims": 6,
    "fusion_weights": {
        "categories": 0.9,
        "activity": 0.45,
        "text": 1.0,
        "vae": 1.0,
        "factors": 1.0,
        "attributes": 0.5,
    },
    "fusion_dims": 8,
}
# Where the test database keeps each table's columns, so that it can be built without rows.
INPUTS = {
    "matrix_users": "user_index integer, user_key varchar",
    "matrix_items": "item_index integer, item_id varchar, text_index integer, users bigint",
    "user_item_matrix": (
        "user_index integer, item_index integer, affinity float, decayed_events float, events integer"
    ),
    "user_text_weights": "user_index integer, text_index integer, weight float",
    "item_texts": "text_index integer, text_key varchar, text varchar, items bigint",
    "user_features": "user_key varchar, events double, events_normalised double, gap_normalised double",
    "user_category_weights": (
        "user_index integer, category_index integer, category varchar, weight float, share float"
    ),
    "user_encodings": "run_id varchar",
    "current_plan": "as_of timestamp, decision varchar, fitted_as_of timestamp",
    "segmentation_vectors": "space varchar",
    "user_clusters": "run_id varchar",
    "user_positions": "run_id varchar",
    "explaining_rules": "run_id varchar",
    "interest_medoids": "run_id varchar",
    "collaborative_candidates": "run_id varchar",
    "content_candidates": "run_id varchar",
    "fitted_source_runs": "model varchar, run_id varchar",
    "rating_predictions": "run_id varchar",
    "user_attributes": (
        "user_key varchar, age_band varchar, gender varchar, region varchar, occupation varchar, "
        "income_band varchar, household varchar"
    ),
}
USERS, ITEMS = 40, 20


class Config:
    def __init__(self, settings):
        self._settings = settings

    def meta_get(self, name):
        return self._settings[name]


class This:
    """Stands for the relation of a model."""

    database, schema = "memory", "main"

    def __init__(self, identifier):
        self.identifier = identifier

    def __str__(self):
        return f'"{self.identifier}"'


class Dbt:
    """Stands for what dbt hands a Python model."""

    def __init__(self, connection, settings, model):
        self._connection, self.config, self.this = connection, Config(settings), This(model)

    def ref(self, name):
        return self._connection.table(name)


def build(tmp_path, rows=True, reverse=False, only=None, **changes):
    """Build the layer from synthetic features and return its tables by name."""
    connection = duckdb.connect()
    for name, columns in INPUTS.items():
        connection.execute(f"create table {name} ({columns})").fetchall()
    if rows:
        fill(connection, "desc" if reverse else "asc")
    return build_on(connection, tmp_path, only, **changes)


def build_on(connection, tmp_path, only=None, **changes):
    """Build the layer in a database that has its inputs, and may have tables of an earlier build."""
    built = {}
    for name in only or ORDER:
        spec = importlib.util.spec_from_file_location(name, next(MODELS.glob(f"*/{name}.py")))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        dbt = Dbt(connection, SETTINGS | {"store_dir": str(tmp_path / "store")} | changes, name)
        built[name] = module.model(dbt, connection)
        frame = built[name]
        connection.register("frame", frame)
        connection.execute(f"create or replace table {name} as select * from frame").fetchall()
    return built


def fill(connection, direction):
    random = np.random.default_rng(2)
    cells = np.argwhere(random.random((USERS, ITEMS)) < 0.3)
    pairs = pl.DataFrame(cells, schema=["user_index", "item_index"]).with_columns(
        affinity=pl.Series(random.random(len(cells)).round(4))
    )
    assert pairs.height > USERS
    for name, query in {
        "current_plan": "select timestamp '2025-01-01', 'train', timestamp '2025-01-01'",
        "matrix_users": f"select i, 'user-' || lpad(i::text, 3, '0') from range({USERS}) r(i)",
        "matrix_items": f"select i, 'item-' || i, i % 5, 10 from range({ITEMS}) r(i)",
        "user_item_matrix": "select user_index, item_index, affinity, affinity, 1 from pairs",
        "user_text_weights": (
            "select user_index, item_index % 5, sum(affinity) from pairs where user_index > 0 group by all"
        ),
        "item_texts": (
            "select i - 1, md5(text), text, 4 from (values (1, 'dark chocolate'), (2, 'milk chocolate'), "
            "(3, 'power drill'), (4, 'drill bits'), (5, 'tent')) v(i, text)"
        ),
        "user_features": (
            f"select 'user-' || lpad(i::text, 3, '0'), i, i / 20.0 - 1, "
            f"case when i % 7 > 0 then sin(i) end from range({USERS + 5}) r(i)"
        ),
        "user_category_weights": (
            "select user_index, item_index % 3, 'c' || item_index % 3, sum(affinity), 0.5 "
            "from pairs group by all"
        ),
        "user_attributes": (
            f"select 'user-' || lpad(i::text, 3, '0'), case when i % 3 = 0 then '25-34' end, "
            f"case when i % 2 = 0 then 'f' else 'm' end, null, null, null, null from range({USERS + 9}) r(i)"
        ),
    }.items():
        connection.execute(
            f"insert into {name} select * from ({query}) q order by all {direction}"
        ).fetchall()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("layer"))


@pytest.mark.parametrize("name", ORDER)
def test_tables_have_their_columns_with_and_without_rows(built, tmp_path, name):
    assert dict(built[name].schema) == SCHEMAS[name]
    assert built[name].height > 0
    empty = build(tmp_path, rows=False)
    assert dict(empty[name].schema) == SCHEMAS[name]
    assert empty[name].height == 0


def test_every_user_item_and_text_of_the_matrix_has_a_vector(built):
    for name in ("user_text_embeddings", "user_vae_embeddings", "user_factors", "user_embeddings"):
        assert built[name]["user_key"].to_list() == [f"user-{index:03}" for index in range(USERS)]
    assert built["item_factors"]["item_id"].to_list() == [f"item-{index}" for index in range(ITEMS)]
    assert built["item_text_embeddings"]["text_index"].to_list() == list(range(5))
    lengths = {name: built[name]["vector"].list.len().unique().to_list() for name in ORDER[:7]}
    assert lengths["user_vae_embeddings"] == [4]
    assert lengths["user_factors"] == lengths["item_factors"] == [6]
    assert lengths["user_embeddings"] == [8]
    assert all(len(found) == 1 for found in lengths.values())


def test_a_user_without_texts_has_a_vector_of_zeros(built):
    vectors = np.array(built["user_text_embeddings"]["vector"].to_list())
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.flatnonzero(lengths == 0).tolist() == [0, 31]  # one by rule, one took no item at all
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-4)


def test_two_builds_from_scratch_are_equal_whatever_the_order_of_rows(built, tmp_path):
    again = build(tmp_path, reverse=True)
    volatile = {"seconds", "peak_memory_mb"}
    for name in ORDER:
        columns = [column for column in built[name].columns if column not in volatile]
        assert again[name].select(columns).equals(built[name].select(columns)), name


def test_a_second_build_fits_nothing(tmp_path, monkeypatch):
    first = build(tmp_path)

    def refuse(*_, **__):
        raise AssertionError("fitted again")

    from manyfaces.embeddings import autoencoder, fusion, text
    from manyfaces.embeddings.encoders import svd

    monkeypatch.setattr(autoencoder, "fit_vae", refuse)
    monkeypatch.setattr(svd, "factorise", refuse)
    monkeypatch.setattr(fusion, "fuse", refuse)
    monkeypatch.setattr(text, "tfidf_vectors", refuse)
    second = build(tmp_path)
    for name in ORDER:
        assert second[name].equals(first[name]), name


@pytest.mark.parametrize(
    ("setting", "value", "changed"),
    [
        ("vae_max_items", 5, {"user_vae_embeddings", "user_embeddings"}),
        ("vae_hidden_dims", [16, 8], {"user_vae_embeddings", "user_embeddings"}),
        ("factor_dims", 3, {"user_factors", "item_factors", "user_embeddings"}),
        ("fusion_dims", 4, {"user_embeddings"}),
        ("fusion_weights", {"text": 1, "activity": 1}, {"user_embeddings"}),
    ],
)
def test_a_changed_setting_changes_the_runs_it_concerns(built, tmp_path, setting, value, changed):
    other = build(tmp_path, **{setting: value})
    differs = {name for name in ORDER[:7] if other[name]["run_id"][0] != built[name]["run_id"][0]}
    assert differs == changed


def test_user_and_item_factors_are_of_one_run_and_approximate_the_affinities(tmp_path):
    built = build(tmp_path, only=["user_factors", "item_factors"], factor_dims=20)
    assert (
        built["user_factors"]["run_id"].unique().to_list()
        == built["item_factors"]["run_id"].unique().to_list()
    )
    users, items = (np.array(built[name]["vector"].to_list()) for name in ("user_factors", "item_factors"))
    random = np.random.default_rng(2)
    cells = random.random((USERS, ITEMS)) < 0.3
    affinities = np.zeros((USERS, ITEMS))
    affinities[cells] = random.random(cells.sum()).round(4)
    np.testing.assert_allclose(users @ items.T, affinities, atol=1e-4)


def test_the_log_has_a_row_per_epoch_and_the_runs_a_row_per_table(built):
    log, learned = built["training_epochs"], built["learned_runs"]
    assert log["epoch"].to_list() == [1, 2, 3]
    assert log["run_id"].unique().to_list() == built["user_vae_embeddings"]["run_id"].unique().to_list()
    assert sorted(learned["model"]) == sorted(ORDER[:7])
    assert learned.null_count().row(0) == (0,) * len(learned.columns)
    assert '"max_epochs": 3' in learned.filter(model="user_vae_embeddings")["parameters"][0]


def test_attributes_enter_only_with_a_weight(tmp_path):
    weights = {"activity": 1.0, "attributes": 0.0}
    without = build(tmp_path / "a", fusion_weights=weights)["user_embeddings"]
    alone = build(tmp_path / "b", fusion_weights={"attributes": 1})["user_embeddings"]
    assert not without["vector"].equals(alone["vector"])
    vectors = np.array(alone["vector"].to_list())
    # Users 0 and 6 have the same attributes, users 0 and 1 have not.
    np.testing.assert_allclose(vectors[0], vectors[6], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_kept_encoders_place_later_users_in_the_space_of_their_fit(tmp_path):
    connection = duckdb.connect()
    for name, columns in INPUTS.items():
        connection.execute(f"create table {name} ({columns})").fetchall()
    fill(connection, "asc")
    kept = ["user_vae_embeddings", "user_factors", "item_factors", "user_embeddings"]
    first = build_on(connection, tmp_path)
    connection.execute("update current_plan set as_of = timestamp '2025-02-01', decision = 'keep'").fetchall()
    # A new item comes before all others, and one user has taken to it.
    connection.execute("update matrix_items set item_index = item_index + 1").fetchall()
    connection.execute("update user_item_matrix set item_index = item_index + 1").fetchall()
    connection.execute("insert into matrix_items values (0, 'new', 0, 1)").fetchall()
    connection.execute("insert into user_item_matrix values (7, 0, 1.0, 1.0, 1)").fetchall()
    second = build_on(connection, tmp_path)
    for name in kept:
        assert second[name]["run_id"].unique().to_list() == first[name]["run_id"].unique().to_list(), name
        assert second[name]["vector"].to_list() == first[name]["vector"].to_list(), name
    connection.execute("update current_plan set decision = 'train'").fetchall()
    third = build_on(connection, tmp_path)
    for name in kept:
        assert third[name]["run_id"][0] != first[name]["run_id"][0], name


def test_an_unknown_block_stops_the_build_with_its_name(tmp_path):
    with pytest.raises(ValueError, match="unknown block 'txt'"):
        build(tmp_path, fusion_weights={"txt": 1})


def test_runs_that_the_store_lost_say_what_to_do(tmp_path):
    with pytest.raises(KeyError, match="rebuild its table"):
        runs.learned_runs_table({"user_factors": ["factors-gone"]}, str(tmp_path))


def test_vectors_of_different_length_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        frames.vectors_of(pl.Series([[1.0], [1.0, 2.0]]))
    np.testing.assert_array_equal(frames.vectors_of(pl.Series([[1.0, 2.0], None])), [[1, 2], [0, 0]])
    assert frames.vectors_of(pl.Series([None, None], dtype=pl.List(pl.Float32))).shape == (2, 0)


def test_tables_of_different_builds_are_refused():
    pairs = pl.DataFrame({"user_index": [0, 1], "text_index": [4, 5], "weight": [1.0, 2.0]})
    assert frames.sparse_matrix(pairs, 2, 6)[1, 5] == 2.0
    with pytest.raises(ValueError, match=r"text_index 5 reach beyond .* different builds"):
        frames.sparse_matrix(pairs, 2, 5)
