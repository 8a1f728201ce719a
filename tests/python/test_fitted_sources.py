"""Fitted sources: the same columns for all of them, what their rows point to, and the store."""

import json

import numpy as np
import polars as pl
import pytest
from conftest import FITTED_SOURCES, PROJECT
from polars.testing import assert_frame_equal
from test_recommendation_tables import ITEMS, USERS, feature_tables

from manyfaces.embeddings.tables import user_vae_table
from manyfaces.keeping import Plan
from manyfaces.recommendations import alternating, fitted_sources, user_neighbours
from manyfaces.recommendations.tables import FITTED_SCHEMA, fitted_table, read_history
from manyfaces.store import ArtifactStore

PLAN = Plan("2026-01-01")
ENCODERS = {"order": {"kind": "sequence", "dims": 4, "layers": 1, "max_epochs": 2, "batch_size": 4}}


def encoder_tables(tables: dict[str, pl.DataFrame]) -> dict:
    users = tables["matrix_users"].select("user_key")
    taken = (
        tables["user_item_matrix"]
        .join(tables["matrix_users"], on="user_index")
        .join(tables["matrix_items"], on="item_index")
        .sort("user_key", "affinity")
        .group_by("user_key", maintain_order=True)
        .agg(item_ids=pl.col("item_id"))
    )
    return {
        "matrix_items": lambda: tables["matrix_items"],
        "user_item_matrix": lambda: tables["user_item_matrix"],
        "user_features": lambda: users.with_columns(events_normalised=pl.lit(0.5)),
        "user_sequences": lambda: taken,
    }


def assignments(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """By the parity of the user, which is the user's taste; the last user has no segment."""
    return (
        tables["matrix_users"]
        .sort("user_index")
        .select("user_key", segment_id=pl.format("taste-{}", pl.col("user_index") % 2))
        .filter(pl.col("user_key") != f"user {USERS - 1}")
    )


def source_of(name: str, tables: dict[str, pl.DataFrame], store_dir: str) -> fitted_sources.FittedSource:
    history = read_history(**tables)
    if name == "als":
        return fitted_sources.als_source(history, assignments(tables), seed=7)
    if name == "graph_filter":
        return fitted_sources.graph_filter_source(history, seed=7)
    if name == "user_neighbour":
        return fitted_sources.user_neighbour_source(history, assignments(tables), count=3)
    if name == "next_item":
        return fitted_sources.next_item_source(history, encoder_tables(tables), ENCODERS, store_dir, PLAN, 7)
    trained = [tables[name] for name in ("matrix_users", "matrix_items", "user_item_matrix")]
    settings = {"max_epochs": 2, "hidden_dims": (4,), "latent_dims": 2}
    vectors = user_vae_table(*trained, store_dir, PLAN, **settings)
    return fitted_sources.variational_source(history, vectors["run_id"].unique().to_list(), store_dir)


def table_of(name: str, tables: dict[str, pl.DataFrame], store_dir: str, count: int = 3) -> pl.DataFrame:
    return fitted_table(read_history(**tables), source_of(name, tables, store_dir), store_dir, count=count)


def test_the_macro_lists_the_same_sources():
    text = (PROJECT / "macros" / "fitted_sources.sql").read_text()
    assert json.loads(text[text.index("[") : text.index("]") + 1].replace("'", '"')) == FITTED_SOURCES


@pytest.mark.parametrize("name", FITTED_SOURCES)
def test_every_source_has_the_columns_the_caps_and_no_item_that_must_not_come(tmp_path, name):
    tables = feature_tables()
    table = table_of(name, tables, str(tmp_path))
    assert dict(table.schema) == FITTED_SCHEMA
    assert set(table["source"]) == {name}
    assert table["score"].min() > 0
    # The user without a segment has nobody beside.
    assert table["user_key"].n_unique() == USERS - (name == "user_neighbour")
    assert "item 1" not in table["item_id"]
    assert table.filter(user_key="user 0", item_id="item 4").is_empty()
    assert not table.select("user_key", "item_id").is_duplicated().any()
    assert table.group_by("user_key", "is_repeat").len()["len"].max() <= 3
    history = read_history(**tables)
    keys = {key: row for row, key in enumerate(history.user_keys)}
    items = {item: column for column, item in enumerate(history.item_ids)}
    own = [
        history.matrix[keys[user], items[item]] > 0
        for user, item in table.select("user_key", "item_id").iter_rows()
    ]
    assert own == table["is_repeat"].to_list()


@pytest.mark.parametrize("name", FITTED_SOURCES)
def test_unchanged_inputs_are_loaded_and_order_does_not_matter(tmp_path, name):
    tables = feature_tables()
    first = table_of(name, tables, str(tmp_path))
    stored = len(ArtifactStore(tmp_path).run_ids(name))
    turned = {key: frame.reverse() for key, frame in tables.items()}
    assert_frame_equal(table_of(name, turned, str(tmp_path)), first)
    assert len(ArtifactStore(tmp_path).run_ids(name)) == stored == 1
    assert table_of(name, tables, str(tmp_path), count=2)["run_id"][0] != first["run_id"][0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [name for name in FITTED_SOURCES if name != "variational"])
@pytest.mark.parametrize(("users", "items"), [(0, 0), (1, 1), (0, 8), (12, 0)])
def test_empty_and_single_inputs_give_typed_tables(tmp_path, name, users, items):
    assert dict(table_of(name, feature_tables(users, items), str(tmp_path)).schema) == FITTED_SCHEMA


def test_without_an_autoencoder_there_is_a_clear_error(tmp_path):
    empty = read_history(**feature_tables(0, 0))
    source = fitted_sources.variational_source(empty, [], str(tmp_path))
    assert dict(fitted_table(empty, source, str(tmp_path), count=3).schema) == FITTED_SCHEMA
    with pytest.raises(ValueError, match="user_vae_embeddings is empty"):
        fitted_sources.variational_source(read_history(**feature_tables()), [], str(tmp_path))


@pytest.mark.parametrize("name", ["als", "graph_filter", "variational"])
def test_history_counts_the_items_of_the_user(tmp_path, name):
    tables = feature_tables()
    table = table_of(name, tables, str(tmp_path))
    owned = (
        tables["user_item_matrix"]
        .join(tables["matrix_users"], on="user_index")
        .group_by("user_key")
        .agg(expected=pl.len().cast(pl.Int64))
    )
    joined = table.join(owned, on="user_key")
    assert joined["evidence_count"].to_list() == joined["expected"].to_list()
    assert set(table["evidence_kind"]) == {"history"}
    assert table.select("evidence_id", "evidence_value").null_count().row(0) == (len(table), len(table))


def test_a_user_without_items_has_the_taste_of_the_segment_only_where_groups_are_asked_for(tmp_path):
    tables = feature_tables()
    tables["user_item_matrix"] = tables["user_item_matrix"].filter(pl.col("user_index") != 3)
    by_segment = table_of("als", tables, str(tmp_path))
    row = by_segment.filter(user_key="user 3")
    assert set(row.select("evidence_kind", "evidence_id", "evidence_count").rows()) == {
        ("segment", "taste-1", 0)
    }
    # The items of the segment are the odd ones.
    assert int(row["item_id"][0].removeprefix("item ")) % 2 == 1
    assert by_segment.filter(pl.col("user_key") != "user 3")["evidence_id"].is_null().all()
    history = read_history(**tables)
    plain = fitted_table(history, fitted_sources.als_source(history, None, seed=7), str(tmp_path), count=3)
    assert "user 3" not in plain["user_key"]
    assert plain["run_id"][0] != by_segment["run_id"][0]


def test_als_scores_are_products_of_the_vectors(tmp_path):
    tables = feature_tables()
    history = read_history(**tables)
    table = table_of("als", tables, str(tmp_path))
    groups, _ = fitted_sources.segments_of(history, assignments(tables))
    assert groups.tolist() == [user % 2 for user in range(USERS - 1)] + [-1]
    factors = alternating.fit(history.matrix, alternating.AlternatingParameters(seed=7), groups)
    scores = factors.users @ factors.items.T
    keys = {key: row for row, key in enumerate(history.user_keys)}
    for user, item, score in table.select("user_key", "item_id", "score").iter_rows():
        assert score == pytest.approx(scores[keys[user], int(item.removeprefix("item "))], abs=2e-6)


def test_neighbours_are_counted_within_the_segment(tmp_path):
    tables = feature_tables()
    history = read_history(**tables)
    table = table_of("user_neighbour", tables, str(tmp_path))
    groups, _ = fitted_sources.segments_of(history, assignments(tables))
    neighbours = user_neighbours.nearest_neighbours(history.matrix, 3, groups).toarray() > 0
    has = history.matrix.toarray() > 0
    keys = {key: row for row, key in enumerate(history.user_keys)}
    for user, item, count, share in table.select(
        "user_key", "item_id", "evidence_count", "evidence_value"
    ).iter_rows():
        near = neighbours[keys[user]]
        assert (groups[near] == groups[keys[user]]).all()
        assert count == (near & has[:, int(item.removeprefix("item "))]).sum() > 0
        assert share == pytest.approx(count / near.sum(), abs=1e-6)
    assert set(table["evidence_kind"]) == {"user"}
    assert table["evidence_id"].is_null().all()


def test_next_item_takes_the_declared_encoder_and_tells_of_its_training(tmp_path):
    tables = feature_tables()
    table = table_of("next_item", tables, str(tmp_path))
    store = ArtifactStore(tmp_path)
    meta = store.meta(table["run_id"][0])
    assert meta["parameters"]["encoder"] == "order"
    encoder = store.meta(meta["parameters"]["encoder_run"])
    assert encoder["parameters"]["dims"] == 4
    assert meta["log"] == encoder["log"]
    assert len(meta["log"]) == 2
    history = read_history(**tables)
    source = fitted_sources.next_item_source(history, encoder_tables(tables), {}, str(tmp_path), PLAN, 7)
    assert source.parameters["encoder"] == "sequence"
    lengths = {row[0]: len(row[1]) for row in encoder_tables(tables)["user_sequences"]().iter_rows()}
    assert [lengths[key] for key in table["user_key"]] == table["evidence_count"].to_list()
    assert np.isin(table["item_id"].to_list(), [f"item {n}" for n in range(ITEMS)]).all()
