"""The vectors of a segmentation: those of an encoder or fused blocks, of the users of its population."""

import numpy as np
import polars as pl
import pytest

from manyfaces.embeddings.fused import (
    SEGMENTATION_VECTOR_SCHEMA,
    Evidence,
    segmentation_vector_table,
)
from manyfaces.keeping import Plan

FUSED = {"name": "all_users", "encoder": "fused", "algorithm": "kmeans", "candidates": [2]}
BLOCKS = {"name": "mixed", "blocks": {"categories": 1, "vae": 0.5}, "dims": 3, "algorithm": "kmeans"}
USERS = 40


def evidence(turned=False, run="vae-1"):
    """Users with random vectors and categories; `turned` is what another training makes of the vectors."""
    random = np.random.default_rng(3)
    users = pl.DataFrame(
        {"user_index": range(USERS), "user_key": [f"user{number:02d}" for number in range(USERS)]}
    )
    vectors = random.normal(size=(USERS, 4)).astype(np.float32) * (-1 if turned else 1)
    table = users.select(
        "user_key", vector=pl.Series(vectors.tolist()), run_id=pl.lit(run), model_version=pl.lit("1")
    )
    weights = pl.DataFrame(
        {
            "user_index": np.repeat(np.arange(USERS), 2),
            "category_index": random.integers(0, 3, USERS * 2) * 2 + np.tile([0, 1], USERS),
            "weight": random.random(USERS * 2),
        }
    ).with_columns(category=pl.format("c{}", "category_index"))
    return Evidence(
        users,
        lambda: pl.DataFrame({"user_key": users["user_key"], "events_normalised": random.random(USERS)}),
        lambda: weights,
        lambda: users.select(
            "user_key",
            *(
                pl.lit(None, pl.String).alias(name)
                for name in ("age_band", "gender", "income_band", "occupation", "region")
            ),
        ),
        {"fused": lambda: table, "vae": lambda: table},
        lambda: weights.rename({"weight": "past_weight"}),
    )


def populations(**members):
    return pl.concat(
        [
            pl.DataFrame(schema={"segmentation": pl.String, "user_key": pl.String}),
            *(
                pl.DataFrame(
                    {"segmentation": [name] * len(keys), "user_key": keys},
                    schema_overrides={"user_key": pl.String},
                )
                for name, keys in members.items()
            ),
        ]
    )


def everybody():
    return [f"user{number:02d}" for number in range(USERS)]


def test_a_population_has_the_vectors_of_its_users_only(tmp_path):
    some = ["user07", "user03", "nobody"]
    found = segmentation_vector_table(
        [FUSED, FUSED | {"name": "some"}],
        evidence(),
        populations(all_users=everybody(), some=some),
        str(tmp_path),
        Plan("1"),
    )
    assert dict(found.schema) == SEGMENTATION_VECTOR_SCHEMA
    assert found.filter(segmentation="all_users").height == USERS
    assert found.filter(segmentation="some")["user_key"].to_list() == ["user03", "user07"]
    assert found["space"].unique().to_list() == ["vae-1"]


def test_an_empty_population_gives_typed_rows(tmp_path, capsys):
    for spec in (FUSED, BLOCKS, {"name": "friends", "algorithm": "label_propagation"}):
        found = segmentation_vector_table([spec], evidence(), populations(), str(tmp_path), Plan("1"))
        assert dict(found.schema) == SEGMENTATION_VECTOR_SCHEMA
        assert found.is_empty()
    assert "none of its 0 users has a vector" in capsys.readouterr().err


def test_blocks_are_fused_for_the_population_alone(tmp_path):
    members = everybody()[:30]
    found = segmentation_vector_table(
        [BLOCKS], evidence(), populations(mixed=members), str(tmp_path), Plan("1")
    )
    assert found["user_key"].to_list() == members
    vectors = np.array(found["vector"].to_list())
    assert vectors.shape == (30, 3)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    assert found["space"][0].startswith("space_mixed-")


def test_a_kept_space_places_later_users_in_it(tmp_path):
    first = segmentation_vector_table(
        [BLOCKS], evidence(), populations(mixed=everybody()[:30]), str(tmp_path), Plan("1")
    )
    plan = Plan("2", keep=True, previous=first["space"].unique().to_list())
    later = segmentation_vector_table(
        [BLOCKS], evidence(), populations(mixed=everybody()), str(tmp_path), plan
    )
    assert later["space"].unique().to_list() == first["space"].unique().to_list()
    assert later["vector"][:30].to_list() == first["vector"].to_list()
    # Once the encoder below is trained anew its axes mean something else, and the space is learned again.
    other = segmentation_vector_table(
        [BLOCKS], evidence(True, "vae-2"), populations(mixed=everybody()), str(tmp_path), plan
    )
    assert other["space"][0] != first["space"][0]


def test_a_text_encoder_is_told_by_its_version_unless_it_was_fitted():
    for version, run, space in [
        ("text-1/packaged", "text-abc", "text-1/packaged"),
        ("text-1/tfidf", "text-abc", "text-abc"),
        ("text-adapter-1/text-1/packaged", "text_adapter-abc", "text_adapter-abc"),
        ("vae-1", "vae-abc", "vae-abc"),
    ]:
        table = pl.DataFrame(
            {"user_key": ["a"], "vector": [[1.0]], "run_id": [run], "model_version": [version]}
        )
        users = pl.DataFrame({"user_index": [0], "user_key": ["a"]})
        found = Evidence(users, None, None, None, {"text": lambda table=table: table})
        assert found.space("text") == space


def test_an_unknown_block_is_named(tmp_path):
    spec = BLOCKS | {"blocks": {"txt": 1}}
    with pytest.raises(ValueError, match="unknown block 'txt'"):
        segmentation_vector_table(
            [spec], evidence(), populations(mixed=everybody()), str(tmp_path), Plan("1")
        )


def test_the_past_lies_where_its_categories_alone_place_a_user(tmp_path):
    only = BLOCKS | {"blocks": {"categories": 1}}
    found = segmentation_vector_table(
        [only], evidence(), populations(mixed=everybody()), str(tmp_path), Plan("1")
    )
    # Here the past is what is known today, so that both are the same.
    np.testing.assert_allclose(found["past_vector"].to_list(), found["vector"].to_list(), atol=1e-5)
    mixed = segmentation_vector_table(
        [BLOCKS], evidence(), populations(mixed=everybody()), str(tmp_path), Plan("1")
    )
    assert mixed["past_vector"].null_count() == 0
    assert mixed["past_vector"].to_list() != mixed["vector"].to_list()
    encoder = segmentation_vector_table(
        [FUSED], evidence(), populations(all_users=everybody()), str(tmp_path), Plan("1")
    )
    assert encoder["past_vector"].null_count() == USERS
