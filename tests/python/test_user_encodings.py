"""The table of optional encoders: what is loaded, fitted, kept and returned, and the dbt model around it."""

import importlib.util
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
import pytest
from conftest import PROJECT

from manyfaces import runs
from manyfaces.embeddings.encoders import registry, svd, table
from manyfaces.embeddings.encoders.table import SCHEMA, read_history, user_encoding_table
from manyfaces.keeping import Plan
from manyfaces.store import Artifact

USERS, ITEMS = 30, 12
QUICK = {"kind": "mult_vae", "max_epochs": 2, "hidden_dims": 8, "latent_dims": 3}
DECLARED = {
    "quick": QUICK,
    "behaviour": QUICK | {"kind": "dense_vae"},
    "short": {"kind": "factors", "dims": 4},
}
NAMES = sorted(DECLARED)
FIRST_BUILD = Plan("2025-01-01")


class Tables:
    """Tables by name that remember which of them were loaded."""

    def __init__(self, items=ITEMS, shuffled=False, empty=False):
        random = np.random.default_rng(5)
        keys = [f"user-{number:02}" for number in range(USERS)]
        cells = np.argwhere(random.random((USERS, items)) < 0.4)
        features = random.normal(size=USERS + 3).round(6)
        self.frames = {
            "matrix_users": pl.DataFrame(
                {"user_index": range(USERS), "user_key": keys},
                schema={"user_index": pl.Int32, "user_key": pl.String},
            ),
            "matrix_items": pl.DataFrame(
                {"item_index": range(items), "item_id": [f"item-{number}" for number in range(items)]},
                schema={"item_index": pl.Int32, "item_id": pl.String},
            ),
            "user_item_matrix": pl.DataFrame(
                cells, schema={"user_index": pl.Int32, "item_index": pl.Int32}
            ).with_columns(affinity=pl.Series(random.random(len(cells)), dtype=pl.Float32)),
            # Three users more than the matrix has, and one of the matrix is not among them.
            "user_features": pl.DataFrame(
                {
                    "user_key": [*keys[1:], "user-97", "user-98", "user-99", "user-96"],
                    "events": features * 100,
                    "gap_normalised": [
                        None if number == 4 else value for number, value in enumerate(features)
                    ],
                    "events_normalised": features[::-1],
                }
            ),
            "user_sequences": pl.DataFrame(
                {
                    "user_key": [keys[2], keys[0], "user-99"],
                    "item_ids": [["item-3", "gone", "item-3", "item-0"], ["item-1"], ["item-2"]],
                }
            ),
        }
        if empty:
            self.frames = {name: frame.clear() for name, frame in self.frames.items()}
        if shuffled:
            self.frames = {
                name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in self.frames.items()
            }
        self.loaded = []

    def loaders(self):
        return {name: lambda name=name: self.loaded.append(name) or self.frames[name] for name in self.frames}


def encodings(tables, folder, wanted=NAMES, declared=DECLARED, plan=FIRST_BUILD, seed=7):
    return user_encoding_table(tables.loaders(), wanted, declared, seed, str(folder), plan)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encodings")
    return encodings(Tables(), folder), folder


def vectors_of(frame, name):
    return np.array(frame.filter(encoder=name)["vector"].to_list())


def test_each_encoder_has_a_vector_for_each_user_of_the_matrix(built):
    frame, _ = built
    assert dict(frame.schema) == SCHEMA
    assert frame["encoder"].unique(maintain_order=True).to_list() == ["behaviour", "quick", "short"]
    for name, length in {"behaviour": 3, "quick": 3, "short": 4}.items():
        part = frame.filter(encoder=name)
        assert part["user_key"].to_list() == [f"user-{number:02}" for number in range(USERS)]
        assert part["vector"].list.len().unique().to_list() == [length]
        assert part["run_id"].n_unique() == 1
        assert part["run_id"][0].startswith(f"encoder_{name}-")
    versions = dict(frame.select("encoder", "model_version").unique().iter_rows())
    assert versions == {"behaviour": "dense_vae-1", "quick": "mult_vae-1", "short": "factors-1"}


def test_the_order_of_rows_does_not_matter(built, tmp_path):
    assert encodings(Tables(shuffled=True), tmp_path).equals(built[0])


def test_nothing_is_loaded_when_nothing_is_wanted(tmp_path):
    tables = Tables()
    frame = encodings(tables, tmp_path / "store", wanted=[])
    assert dict(frame.schema) == SCHEMA
    assert frame.is_empty()
    assert tables.loaded == []
    assert not (tmp_path / "store").exists()


def test_without_users_the_table_is_empty_and_nothing_is_fitted(tmp_path):
    tables = Tables(empty=True)
    frame = encodings(tables, tmp_path / "store")
    assert dict(frame.schema) == SCHEMA
    assert frame.is_empty()
    assert not (tmp_path / "store").exists()


def test_users_without_items_get_vectors_all_the_same(tmp_path):
    tables = Tables()
    tables.frames["matrix_items"] = tables.frames["matrix_items"].clear()
    tables.frames["user_item_matrix"] = tables.frames["user_item_matrix"].clear()
    frame = encodings(tables, tmp_path)
    assert len(frame) == 3 * USERS
    assert (vectors_of(frame, "quick") == 0).all()


def test_a_feature_without_value_counts_as_zero():
    tables = Tables()
    users = tables.frames["matrix_users"].select("user_key")
    history = read_history(tables.loaders(), users, with_sequences=False)
    assert history.feature_names.tolist() == ["events_normalised", "gap_normalised"]
    assert history.features[0].tolist() == [0, 0]  # not in the table
    assert history.features[5, 1] == 0  # null
    assert history.features[5, 0] != 0


def test_features_that_are_no_numbers_are_refused(tmp_path):
    tables = Tables()
    tables.frames["user_features"] = tables.frames["user_features"].with_columns(
        gap_normalised=pl.lit(float("nan"))
    )
    with pytest.raises(ValueError, match="29 users are not finite numbers, first of all gap_normalised"):
        encodings(tables, tmp_path, ["behaviour"])


@dataclass(frozen=True)
class CountingSequences:
    """Stands for an encoder of sequences: vectors are the first item and the length."""

    version = "counting-1"
    Parameters = svd.Parameters

    def fit(self, history, parameters):
        return Artifact({}, {"algorithm": "counting", "parameters": {}, "rows": 0, "metrics": {}, "log": []})

    def encode(self, history, artifact):
        starts, ends = history.sequence_offsets[:-1], history.sequence_offsets[1:]
        firsts = [
            history.sequence_items[start] if end > start else -1
            for start, end in zip(starts, ends, strict=True)
        ]
        return np.stack([firsts, ends - starts], axis=1).astype(np.float32)


def test_sequences_are_loaded_for_encoders_of_sequences_only(tmp_path, monkeypatch):
    tables = Tables()
    encodings(tables, tmp_path)
    assert sorted(tables.loaded) == ["matrix_items", "matrix_users", "user_features", "user_item_matrix"]

    encoders = {"counting": CountingSequences(), "factors": svd}
    monkeypatch.setattr(registry, "ENCODERS", encoders)
    monkeypatch.setattr(table, "ENCODERS", encoders)
    monkeypatch.setattr(table, "SEQUENCE_KINDS", {"counting"})
    monkeypatch.setattr(table, "SEQUENCE_BLOCK", 2)  # so that a block without and one with sequences occur
    frame = encodings(tables, tmp_path, ["counting", "short"], {"short": DECLARED["short"]})
    assert "user_sequences" in tables.loaded
    counted = vectors_of(frame, "counting")
    # Items that are no columns are passed over, a user may have no sequence.
    assert counted[:4].tolist() == [[1, 1], [-1, 0], [3, 3], [-1, 0]]
    assert frame.filter(encoder="short")["run_id"][0].startswith("encoder_short-")


def refuse(*_, **__):
    raise AssertionError("fitted again")


def test_a_second_build_fits_nothing_and_a_changed_parameter_only_its_encoder(built, monkeypatch):
    frame, folder = built
    with monkeypatch.context() as patched:
        patched.setattr(svd, "fit", refuse)
        patched.setattr(type(registry.ENCODERS["mult_vae"]), "fit", refuse)
        assert encodings(Tables(), folder).equals(frame)
    changed = encodings(Tables(), folder, declared=DECLARED | {"quick": QUICK | {"latent_dims": 2}})
    same = changed.join(frame, on=["encoder", "user_key", "run_id"], how="semi")
    assert same["encoder"].unique(maintain_order=True).to_list() == ["behaviour", "short"]


def test_the_projects_seed_decides(built, tmp_path):
    other = encodings(Tables(), tmp_path, seed=8)
    assert not np.array_equal(vectors_of(other, "quick"), vectors_of(built[0], "quick"))


def test_encoders_of_the_last_build_are_kept_over_new_items_if_the_plan_says_so(built, monkeypatch):
    frame, folder = built
    previous = frame["run_id"].unique().to_list()
    with monkeypatch.context() as patched:
        patched.setattr(svd, "fit", refuse)
        patched.setattr(type(registry.ENCODERS["mult_vae"]), "fit", refuse)
        later = encodings(Tables(items=15), folder, plan=Plan("2025-02-01", keep=True, previous=previous))
    assert sorted(later["run_id"].unique()) == sorted(previous)
    refitted = encodings(Tables(items=15), folder, plan=Plan("2025-02-01", keep=False, previous=previous))
    assert not set(refitted["run_id"]) & set(previous)


def test_a_kept_encoder_of_other_features_is_fitted_again(built):
    frame, folder = built
    tables = Tables()
    tables.frames["user_features"] = tables.frames["user_features"].rename({"events": "new_normalised"})
    plan = Plan("2025-02-01", keep=True, previous=frame["run_id"].unique().to_list())
    changed = encodings(tables, folder, ["behaviour"], plan=plan)
    assert not set(changed["run_id"]) & set(frame["run_id"])


# --- the dbt model ---------------------------------------------------------------------------------------


class Dbt:
    """Stands for what dbt hands a Python model."""

    database, schema, identifier = "memory", "main", "user_encodings"

    def __init__(self, connection, settings):
        self._connection, self._settings = connection, settings
        self.config = self.this = self

    def ref(self, name):
        return self._connection.table(name)

    def meta_get(self, name):
        return self._settings[name]


def run_model(folder, segmentations, **changes):
    connection = duckdb.connect()
    for name, frame in Tables(**changes).frames.items():
        connection.register("frame", frame)
        connection.execute(f"create table {name} as select * from frame").fetchall()
    plan = "select timestamp '2025-03-01' as as_of, 'train' as decision, as_of as fitted_as_of"
    connection.execute(f"create table current_plan as {plan}").fetchall()
    if changes.get("empty"):
        connection.execute("delete from current_plan").fetchall()
    settings = {"segmentations": segmentations, "encoders": DECLARED, "seed": 7, "store_dir": str(folder)}
    path = PROJECT / "python_models" / "embeddings" / "user_encodings.py"
    spec = importlib.util.spec_from_file_location("user_encodings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.model(Dbt(connection, settings), connection)


def test_the_model_makes_what_segmentations_ask_for(built, tmp_path):
    segmentations = [
        {"name": "a", "encoder": "quick"},
        {"name": "b", "blocks": {"short": 1, "vae": 1, "x": 1}},
    ]
    frame = run_model(tmp_path, segmentations)
    expected = built[0].filter(pl.col("encoder").is_in(["quick", "short"]))
    assert frame.equals(expected)
    learned = runs.learned_runs_table({"user_encodings": frame["run_id"].unique().to_list()}, str(tmp_path))
    assert learned.null_count().row(0) == (0,) * len(learned.columns)


def test_the_log_has_the_epochs_of_each_encoder_and_nulls_where_a_loss_does_not_apply(tmp_path):
    declared = {"plain": QUICK | {"kind": "autoencoder"}, "quick": QUICK}
    frame = encodings(Tables(), tmp_path, sorted(declared), declared)
    log = runs.training_epochs_table({"user_encodings": frame["run_id"].unique().to_list()}, str(tmp_path))
    assert dict(log.schema) == runs.LOG_SCHEMA
    known = log.group_by(pl.col("run_id").str.extract("encoder_(.*)-")).agg(pl.all().count())
    counts = {row["run_id"]: (row["epoch"], row["kl_divergence"], row["beta"]) for row in known.to_dicts()}
    assert counts == {"plain": (2, 0, 0), "quick": (2, 2, 2)}
    assert log["validation_loss"].null_count() == log["reconstruction_loss"].null_count() == 0


def test_the_model_without_wishes_or_rows_returns_the_columns(tmp_path):
    for segmentations, changes in (
        ([{"name": "a", "encoder": "fused"}], {}),
        ([{"encoder": "quick"}], {"empty": True}),
    ):
        frame = run_model(tmp_path, segmentations, **changes)
        assert dict(frame.schema) == SCHEMA
        assert frame.is_empty()
