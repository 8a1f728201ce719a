"""Simulated data whose truth is known: what was planted is found, and found again."""

import os
import re
import subprocess
import sys

import duckdb
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from integration.harness import KEY, balance, differences, rejected, wrong_fallback_levels
from manyfaces.pseudonyms import user_key

ENOUGH_EVENTS = 10


@pytest.fixture(scope="module")
def truth(planted):
    """Who belongs where, with pseudonyms."""
    users = pl.read_parquet(planted.workspace.files / "truth" / "users.parquet")
    keys = [user_key(user_id, KEY) for user_id in users["user_id"]]
    return users.with_columns(pl.Series("user_key", keys))


@pytest.fixture(scope="module")
def found(planted, truth):
    """The truth of each user who is no bot and has enough events, beside the segment that was found."""
    segments = pl.DataFrame(
        planted.first.rows(
            "select user_key, segment_id from marts.user_segments where segmentation = 'taste'"
        ),
        schema=["user_key", "segment_id"],
        orient="row",
    )
    users = truth.filter(~pl.col("is_bot") & (pl.col("clean_events") >= ENOUGH_EVENTS))
    joined = users.join(segments, on="user_key", how="left")
    assert joined["segment_id"].null_count() == 0
    assert len(joined) > 500
    return joined


def test_planted_segments_are_found(found):
    steady = found.filter(pl.col("drifted_at").is_null())
    assert len(steady) > 400
    assert adjusted_rand_score(steady["segment"], steady["segment_id"]) >= 0.9


def test_users_who_drift_are_found_where_they_went(found):
    # Old events have decayed, so the later taste is the taste.
    assert found["drifted_at"].count() > 40
    assert adjusted_rand_score(found["segment_after"], found["segment_id"]) >= 0.9


def test_planted_favourites_top_the_lists_of_their_segment(planted, found):
    steady = found.filter(pl.col("drifted_at").is_null())
    planted_segment = dict(
        steady.group_by("segment_id").agg(pl.col("segment").mode().sort().first()).iter_rows()
    )
    assert sorted(planted_segment.values()) == [1, 2, 3, 4, 5, 6]
    favourites = pl.read_parquet(planted.workspace.files / "truth" / "favourites.parquet")
    for segment_id, segment in planted_segment.items():
        best = favourites.filter(pl.col("segment") == segment).sort("rank")["item_id"].to_list()
        for name in ("popular", "distinctive"):
            top = [
                item
                for (item,) in planted.first.rows(
                    "select item_id from marts.segment_recommendations "
                    "where segment_id = ? and list = ? order by rank limit 10",
                    segment_id,
                    name,
                )
            ]
            assert len(top) == 10
            assert best[0] in top[:3], (segment_id, name)
            assert len(set(top) & set(best)) >= 7, (segment_id, name)


def test_planted_dirt_is_rejected_with_exactly_the_planted_counts(planted):
    dirt = dict(
        duckdb.sql(
            f"select effect || '_' || reason, rows from '{planted.workspace.files}/truth/dirt.parquet'"
        ).fetchall()
    )
    lines = balance(planted.first)
    assert {name: count for name, count in lines.items() if name.startswith(("rejected_", "capped_"))} == dirt
    assert len(rejected(planted.first)) == 9
    assert all(dirt.values())
    assert lines["raw_events"] == 30_000


def test_clean_events_of_each_user_are_the_planted_ones(planted, truth):
    counted = dict(planted.first.rows("select user_key, count(*) from staging.stg_events group by all"))
    expected = dict(truth.filter(pl.col("clean_events") > 0).select("user_key", "clean_events").iter_rows())
    assert counted == expected


def test_a_second_build_changes_nothing(planted):
    assert differences(planted.before, planted.second.database) == []


def test_a_second_build_fits_nothing_again(planted):
    before, after = planted.stored
    assert len(before) >= 10
    assert after == before
    assert "epoch 1/" in planted.first.output
    assert "epoch 1/" not in planted.second.output
    assert "loading the text encoder" not in planted.second.output


def test_every_fallback_level_occurs_where_it_should(planted):
    assert wrong_fallback_levels(planted.first) == []
    levels = planted.first.rows("select distinct fallback_level from marts.user_recommendations")
    assert {level for (level,) in levels} == {0, 1, 2, 3}


def test_two_builds_from_scratch_are_identical(planted):
    assert "epoch 1/" in planted.fresh.output
    assert differences(planted.first.database, planted.fresh.database) == []


def test_the_build_with_the_packaged_encoder_asks_for_no_network(planted):
    assert "loading the text encoder packaged" in planted.first.output
    assert planted.first.value("select count(*) from embeddings.item_text_embeddings") > 300
    assert not planted.workspace.network_attempts.exists()


def test_the_build_with_the_packaged_encoder_ran_without_a_network(planted):
    if not planted.is_isolated:
        pytest.skip("this machine does not permit unshare --net; attempts to connect were refused instead")
    assert planted.first.returncode == 0


def test_a_process_that_is_cut_off_cannot_connect(planted, tmp_path):
    # Without this the tests above could pass because nothing was cut off.
    environment = planted.workspace.environment() | {"NETWORK_ATTEMPTS": str(tmp_path / "attempts")}
    for code in (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://localhost:9')",
    ):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert "the network is cut off" in done.stderr
    assert re.search(r"socket\.\w+ .*\n.*socket\.", (tmp_path / "attempts").read_text())
    assert os.environ.get("NETWORK_ATTEMPTS") is None
