"""From feature tables to candidate tables: keys, schemas, order, and the store."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from manyfaces.embeddings.tables import user_vae_table
from manyfaces.keeping import Plan
from manyfaces.recommendations import choice, variational
from manyfaces.recommendations.content import common_direction, without_direction
from manyfaces.recommendations.tables import (
    COLLABORATIVE_SCHEMA,
    CONTENT_SCHEMA,
    collaborative_table,
    content_table,
    read_history,
)
from manyfaces.store import ArtifactStore

USERS, ITEMS = 12, 8


def feature_tables(users: int = USERS, items: int = ITEMS, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Two groups of users with a half of the items each; item 1 is not active, item 7 has no text."""
    generator = np.random.default_rng(seed)
    pairs = [
        (user, item, round(float(generator.uniform(0.5, 2)), 6))
        for user in range(users)
        for item in range(items)
        if user % 2 == item % 2 and (user * 5 + item) % 4 != 0
    ]
    generator.shuffle(pairs)
    return {
        "matrix_users": pl.DataFrame(
            {"user_index": np.arange(users, dtype=np.int32), "user_key": [f"user {n}" for n in range(users)]},
            schema={"user_index": pl.Int32, "user_key": pl.String},
        ).sort("user_key"),
        "matrix_items": pl.DataFrame(
            {
                "item_index": np.arange(items, dtype=np.int32),
                "item_id": [f"item {n}" for n in range(items)],
                "text_index": [n // 2 if n != 7 else None for n in range(items)],
                "users": [items - n for n in range(items)],
            },
            schema={"item_index": pl.Int32, "item_id": pl.String, "text_index": pl.Int32, "users": pl.Int64},
        ),
        "user_item_matrix": pl.DataFrame(
            pairs,
            schema={"user_index": pl.Int32, "item_index": pl.Int32, "affinity": pl.Float32},
            orient="row",
        ),
        "disliked_pairs": pl.DataFrame(
            {"user_key": ["user 0", "a stranger"], "item_id": ["item 4", "item 0"]},
            schema={"user_key": pl.String, "item_id": pl.String},
        ),
        "item_stats": pl.DataFrame(
            {"item_id": [f"item {n}" for n in range(items)], "is_active": [n != 1 for n in range(items)]},
            schema={"item_id": pl.String, "is_active": pl.Boolean},
        ),
    }


def text_tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    generator = np.random.default_rng(1)
    schema = {"vector": pl.List(pl.Float32)}
    users = pl.DataFrame(
        {
            "user_key": [f"user {n}" for n in range(USERS - 1)],
            "vector": generator.standard_normal((USERS - 1, 6)).tolist(),
        },
        schema={"user_key": pl.String} | schema,
    )
    texts = pl.DataFrame(
        {"text_index": list(range(4)), "vector": generator.standard_normal((4, 6)).tolist()},
        schema={"text_index": pl.Int32} | schema,
    )
    return users, texts


NO_INTERESTS = pl.DataFrame(schema={"user_key": pl.String, "item_id": pl.String, "weight": pl.Float64})
NO_VECTORS = pl.DataFrame(schema={"item_id": pl.String, "modality": pl.String, "vector": pl.List(pl.Float32)})
OPTIONS = {
    "count": 3,
    "regularisation": 2.0,
    "max_items": 100,
    "method": "auto",
    "memory_mb": 10,
    "seed": 7,
    "vae_runs": list,
}


def test_history_puts_keys_at_their_indices():
    tables = feature_tables()
    history = read_history(**tables)
    assert history.user_keys.to_list() == [f"user {n}" for n in range(USERS)]
    assert history.allowed.tolist() == [n != 1 for n in range(ITEMS)]
    assert history.item_texts.tolist() == [0, 0, 1, 1, 2, 2, 3, -1]
    for user, item, affinity in tables["user_item_matrix"].iter_rows():
        assert history.matrix[user, item] == np.float32(affinity)
    assert history.matrix[0, 4] == 0
    assert history.seen[0, 4] == 1
    assert history.seen.nnz == history.matrix.nnz + 1


def test_collaborative_table_has_the_schema_and_no_disliked_or_inactive_item(tmp_path):
    tables = feature_tables()
    table = collaborative_table(read_history(**tables), tmp_path, **OPTIONS)
    assert dict(table.schema) == COLLABORATIVE_SCHEMA
    assert table.null_count().sum_horizontal().item() == 0
    assert "item 1" not in table["item_id"]
    assert table.filter(user_key="user 0", item_id="item 4").is_empty()
    assert table.select("user_key", "item_id").is_duplicated().sum() == 0
    owned = (
        tables["user_item_matrix"]
        .join(tables["matrix_users"], on="user_index")
        .join(tables["matrix_items"], on="item_index")
        .select("user_key", "item_id")
    )
    assert_frame_equal(
        table.filter("is_repeat").select("user_key", "item_id"),
        table.select("user_key", "item_id").join(owned, on=["user_key", "item_id"], how="semi"),
    )
    per_list = table.group_by("user_key", "is_repeat").agg(
        pl.len(), pl.col("score").is_sorted(descending=True)
    )
    assert per_list["len"].max() <= 3
    assert per_list["score"].all()


def test_order_of_the_input_rows_does_not_matter(tmp_path):
    tables = feature_tables()
    turned = {name: table.reverse() for name, table in tables.items()}
    first = collaborative_table(read_history(**tables), tmp_path / "first", **OPTIONS)
    second = collaborative_table(read_history(**turned), tmp_path / "second", **OPTIONS)
    assert_frame_equal(first, second)


def test_unchanged_inputs_are_loaded_and_changed_ones_computed(tmp_path, monkeypatch):
    history = read_history(**feature_tables())
    first = collaborative_table(history, tmp_path, **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(choice, "collaborative_candidates", lambda *_, **__: pytest.fail("computed again"))
        assert_frame_equal(collaborative_table(history, tmp_path, **OPTIONS), first)
    more = collaborative_table(history, tmp_path, **(OPTIONS | {"regularisation": 3.0}))
    other = collaborative_table(read_history(**feature_tables(seed=5)), tmp_path, **OPTIONS)
    assert len({frame["run_id"][0] for frame in (first, more, other)}) == 3


@pytest.mark.parametrize("method", ["graph_filter", "als"])
def test_the_method_and_the_reason_stand_in_the_artefact(tmp_path, method):
    history = read_history(**feature_tables())
    table = collaborative_table(history, tmp_path, **(OPTIONS | {"method": method}))
    meta = ArtifactStore(tmp_path).meta(table["run_id"][0])
    assert meta["parameters"]["method"] == method
    assert "collaborative_method asks for it" in meta["parameters"]["reason"]
    assert meta["algorithm"] == choice.ALGORITHMS[method]
    assert not table.is_empty()


def test_the_variational_method_reads_the_autoencoder_of_the_users(tmp_path):
    tables = feature_tables()
    users, items, pairs = (tables[name] for name in ("matrix_users", "matrix_items", "user_item_matrix"))
    plan = Plan("2026-01-01")
    vectors = user_vae_table(
        users, items, pairs, str(tmp_path), plan, max_epochs=2, hidden_dims=(4,), latent_dims=2
    )
    runs = vectors["run_id"].unique().to_list()
    options = OPTIONS | {"method": "variational"}
    table = collaborative_table(read_history(**tables), tmp_path, **(options | {"vae_runs": lambda: runs}))
    assert table["user_key"].n_unique() == USERS
    assert set(table["model_version"]) == {variational.MODEL_VERSION}
    with pytest.raises(ValueError, match="user_vae_embeddings is empty"):
        collaborative_table(read_history(**tables), tmp_path, **options)


def test_content_table_names_an_own_item_as_evidence(tmp_path):
    tables = feature_tables()
    users, texts = text_tables()
    history = read_history(**tables)
    table = content_table(
        history, users, texts, NO_INTERESTS, NO_VECTORS, tmp_path, count=3, vectors_from="text"
    )
    assert dict(table.schema) == CONTENT_SCHEMA
    assert not table.is_empty()
    assert f"user {USERS - 1}" not in table["user_key"]  # without a vector
    assert not {"item 1", "item 7"} & set(table["item_id"])  # not active, no text
    items = {item: n for n, item in enumerate(history.item_ids)}
    keys = {key: n for n, key in enumerate(history.user_keys)}
    for user_key, item_id, evidence in table.select("user_key", "item_id", "evidence_item_id").iter_rows():
        assert history.seen[keys[user_key], items[item_id]] == 0
        assert history.matrix[keys[user_key], items[evidence]] > 0


def test_user_without_own_text_items_has_a_null_as_evidence(tmp_path):
    tables = feature_tables()
    tables["user_item_matrix"] = tables["user_item_matrix"].filter(pl.col("user_index") != 0)
    users, texts = text_tables()
    table = content_table(
        read_history(**tables), users, texts, NO_INTERESTS, NO_VECTORS, tmp_path, count=3, vectors_from="text"
    )
    assert table.filter(user_key="user 0")["evidence_item_id"].is_null().all()
    assert table.filter(pl.col("user_key") != "user 0")["evidence_item_id"].is_not_null().all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("users", "items"), [(0, 0), (1, 1), (0, 8), (12, 0)])
def test_empty_and_single_inputs_give_typed_empty_tables(tmp_path, users, items):
    tables = feature_tables(users, items)
    history = read_history(**tables)
    assert dict(collaborative_table(history, tmp_path, **OPTIONS).schema) == COLLABORATIVE_SCHEMA
    vectors, texts = text_tables()
    for user_rows, text_rows in ((vectors, texts), (vectors.clear(), texts), (vectors, texts.clear())):
        table = content_table(
            history, user_rows, text_rows, NO_INTERESTS, NO_VECTORS, tmp_path, count=3, vectors_from="text"
        )
        assert dict(table.schema) == CONTENT_SCHEMA


def test_interests_take_the_place_of_the_vector_of_their_user(tmp_path):
    users, texts = text_tables()
    history = read_history(**feature_tables())
    interests = pl.DataFrame(
        {
            "user_key": ["user 2", "user 2", "a stranger"],
            "item_id": ["item 0", "item 2", "item 4"],
            "weight": [0.5, 0.3, 1],
        }
    )
    options = {"count": 1, "vectors_from": "text"}
    plain = content_table(history, users, texts, NO_INTERESTS, NO_VECTORS, tmp_path, **options)
    several = content_table(history, users, texts, interests, NO_VECTORS, tmp_path, **options)
    others = pl.col("user_key") != "user 2"
    columns = ["user_key", "item_id", "score"]
    assert_frame_equal(several.filter(others).select(columns), plain.filter(others).select(columns))
    vectors = np.array(texts["vector"].to_list())
    direction = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (
        without_direction(vectors, common_direction(direction))
        @ without_direction(vectors[:1], common_direction(direction)).T
    )
    row = several.filter(~others)
    item = int(row["item_id"][0].removeprefix("item "))
    assert row["score"][0] == pytest.approx(float(cosines[item // 2, 0]), abs=1e-6)


def test_other_item_vectors_take_the_place_of_texts(tmp_path):
    users, texts = text_tables()
    history = read_history(**feature_tables())
    item_vectors = pl.DataFrame(
        {
            "item_id": [f"item {number}" for number in range(ITEMS)] * 2,
            "modality": ["image"] * ITEMS + ["sound"] * ITEMS,
            "vector": [[float(number % 2), float(number % 2 == 0), 0.1 * number] for number in range(ITEMS)]
            + [[1.0, 2.0]] * ITEMS,
        },
        schema=NO_VECTORS.schema,
    )
    options = {"count": 2, "vectors_from": "image"}
    table = content_table(history, users, texts, NO_INTERESTS, item_vectors, tmp_path, **options)
    assert table["user_key"].n_unique() == USERS  # the user without a text vector as well
    # Images of one parity are alike, and so are the items of a user.
    parity = pl.col("item_id").str.extract(r"(\d+)").cast(int) % 2
    assert table.filter(parity != pl.col("user_key").str.extract(r"(\d+)").cast(int) % 2).is_empty()
    with pytest.raises(ValueError, match=r"no item has such a vector.*image, sound"):
        content_table(
            history, users, texts, NO_INTERESTS, item_vectors, tmp_path, count=2, vectors_from="smell"
        )
