import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from manyfaces import store as store_module
from manyfaces.store import Artifact, ArtifactStore, atomic_write, fingerprint


@pytest.fixture(autouse=True)
def _forget_used(monkeypatch):
    monkeypatch.setattr(store_module, "_used_here", set())


def make(value=1.0, **meta):
    return lambda: Artifact({"weights": np.full(3, value)}, {"algorithm": "test", **meta})


def test_fingerprint_is_the_same_in_another_process():
    code = (
        "import numpy as np, polars as pl; from manyfaces.store import fingerprint;"
        "print(fingerprint(np.arange(6.0).reshape(2, 3), {'b': [1, None], 'a': 'text'},"
        "pl.DataFrame({'x': ['a', None], 'y': [1, 2]})))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = fingerprint(
        np.arange(6.0).reshape(2, 3),
        {"a": "text", "b": [1, None]},
        pl.DataFrame({"x": ["a", None], "y": [1, 2]}),
    )
    assert outputs == {here}
    assert len(here) == 16


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("ab", "c"), ("a", "bc")),
        ((1,), (1.0,)),
        ((1,), (True,)),
        ((None,), ("None",)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        ((np.zeros(2, np.float32),), (np.zeros(1, np.float64),)),
        (([1, [2]],), ([1, 2],)),
        (({"a": 1},), ({"a": 2},)),
        ((pl.Series("a", ["x", None]),), (pl.Series("a", ["x", ""]),)),
        ((pl.DataFrame({"a": [1]}),), (pl.DataFrame({"b": [1]}),)),
        ((pl.Series([[1], [2, 3]]),), (pl.Series([[1, 2], [3]]),)),
        ((pl.Series([[], [1]]),), (pl.Series([[None], [1]]),)),
        ((sparse.csr_array([[1.0, 0]]),), (sparse.csr_array([[0, 1.0]]),)),
    ],
)
def test_fingerprint_tells_contents_apart(left, right):
    assert fingerprint(*left) != fingerprint(*right)


def test_fingerprint_ignores_representation():
    dense = np.arange(12.0).reshape(3, 4)
    assert fingerprint(dense) == fingerprint(np.asfortranarray(dense))
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    unsorted = sparse.csr_array((np.array([2.0, 1.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    assert fingerprint(unsorted) == fingerprint(sparse.coo_array([[1.0, 2.0]]))
    chunked = pl.concat([pl.DataFrame({"a": ["x"]}), pl.DataFrame({"a": ["y"]})], rechunk=False)
    assert fingerprint(chunked) == fingerprint(pl.DataFrame({"a": ["x", "y"]}))


@pytest.mark.parametrize("part", [np.array([object()]), {1, 2}, object()])
def test_fingerprint_refuses_what_has_no_stable_bytes(part):
    with pytest.raises(TypeError):
        fingerprint(part)


def test_fit_computes_once_and_returns_what_it_stored(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return Artifact(
            {"matrix": np.eye(2, dtype=np.float32)},
            {"metrics": {"loss": np.float32(0.5), "bad": float("nan")}, "log": [{"epoch": 1}]},
        )

    first = ArtifactStore(tmp_path).fit("vae", "abc", compute)
    second = ArtifactStore(tmp_path).fit("vae", "abc", compute)
    assert len(calls) == 1
    assert first.run_id == second.run_id == "vae-abc"
    assert first.meta == second.meta
    assert second.meta["metrics"] == {"loss": 0.5, "bad": None}
    assert second.meta["kind"] == "vae"
    assert second.meta["seconds"] >= 0
    assert second.meta["peak_memory_mb"] > 1
    np.testing.assert_array_equal(second.arrays["matrix"], np.eye(2))
    assert second.arrays["matrix"].dtype == np.float32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vae-abc.json", "vae-abc.npz"]


def test_another_key_is_another_artifact(tmp_path):
    store = ArtifactStore(tmp_path)
    store.fit("vae", "one", make(1.0))
    assert store.fit("vae", "two", make(2.0)).arrays["weights"][0] == 2.0
    assert store.load("vae-one").arrays["weights"][0] == 1.0


@pytest.mark.parametrize("suffix", ["npz", "json"])
@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "missing"])
def test_a_damaged_artifact_is_computed_again(tmp_path, suffix, damage):
    store = ArtifactStore(tmp_path)
    store.fit("vae", "abc", make(1.0))
    path = tmp_path / f"vae-abc.{suffix}"
    content = path.read_bytes()
    match damage:
        case "truncate":
            path.write_bytes(content[: len(content) // 2])
        case "garbage":
            path.write_bytes(b"\x00garbage")
        case "empty":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
    with pytest.raises(KeyError, match="vae-abc"):
        store.load("vae-abc")
    assert store.fit("vae", "abc", make(2.0)).arrays["weights"][0] == 2.0
    assert store.load("vae-abc").arrays["weights"][0] == 2.0


def test_a_failed_computation_stores_nothing(tmp_path):
    def fail():
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        ArtifactStore(tmp_path).fit("vae", "abc", fail)
    assert list(tmp_path.iterdir()) == []


def test_meta_of_an_unknown_run_says_what_to_do(tmp_path):
    with pytest.raises(KeyError, match="rebuild"):
        ArtifactStore(tmp_path).meta("vae-none")


def test_atomic_write_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_threads_compute_one_artifact_once(tmp_path):
    calls, results = [], []

    def compute():
        calls.append(1)
        time.sleep(0.2)
        return Artifact({"weights": np.ones(1)})

    threads = [
        threading.Thread(target=lambda: results.append(ArtifactStore(tmp_path).fit("svd", "k", compute)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(results) == 3


def test_the_least_recently_used_artifacts_are_deleted_above_the_limit(tmp_path, monkeypatch):
    big = lambda: Artifact({"weights": np.zeros(10_000)})  # noqa: E731
    for age, key in [(300, "old"), (200, "used"), (100, "young")]:
        ArtifactStore(tmp_path).fit("svd", key, big)
        os.utime(tmp_path / f"svd-{key}.json", (time.time() - age, time.time() - age))
    monkeypatch.setattr(store_module, "_used_here", set())
    store = ArtifactStore(tmp_path, max_bytes=200_000)
    store.load("svd-used")
    monkeypatch.setattr(store_module, "_used_here", set())  # as in a later process
    store.fit("svd", "new", big)
    kept = {path.stem for path in tmp_path.glob("*.json")}
    assert kept == {"svd-used", "svd-new"}
    assert {path.stem for path in tmp_path.glob("*.npz")} == kept


def test_meta_is_readable_json(tmp_path):
    ArtifactStore(tmp_path).fit("vae", "abc", make(parameters={"dims": (64, 32), "größe": np.int64(3)}))
    meta = json.loads((tmp_path / "vae-abc.json").read_text("utf-8"))
    assert meta["parameters"] == {"dims": [64, 32], "größe": 3}
