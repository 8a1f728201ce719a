"""Content-addressed store of fitted models: an unchanged build fits nothing again.

An artefact lies under `kind` and a key that is the fingerprint of everything it was made from (data,
parameters, version of the algorithm). Arrays are in `<kind>-<key>.npz` (no pickle), the rest in a
`.json` next to it that is written last: an artefact without it does not exist.
"""

import hashlib
import json
import math
import os
import resource
import sys
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

# Least recently used artefacts are deleted above this size of the store.
MAX_STORE_BYTES = 4 * 2**30

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_used_here: set[str] = set()


@dataclass
class Artifact:
    """A fitted model: named arrays, and a JSON-able description of how they came about.

    The customary keys of `meta` are algorithm, parameters, data_fingerprint, metrics, rows, and log (one
    dict per epoch). The store adds kind, run_id, seconds and peak_memory_mb.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id under which the store keeps the artefact."""
        return self.meta["run_id"]


def fingerprint(*parts: Any) -> str:
    """Return 16 hex digits of the SHA-256 of the parts' types, shapes and contents.

    Takes numpy arrays and scalars, scipy sparse matrices (hashed in canonical CSR form), polars frames and
    series, str, bytes, numbers, None, and dicts (by sorted key), lists and tuples of these. The same content
    gives the same text in every process.

    Raises:
        TypeError: If a part is of another type or a numpy array holds objects.
    """
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:16]


def atomic_write(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file completely or not at all: `write` gets a binary file that then replaces `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class ArtifactStore:
    """Folder of artefacts, each computed once."""

    def __init__(self, root: Path | str, max_bytes: int = MAX_STORE_BYTES) -> None:
        """Use `root` (made when the first artefact is written) and keep it below `max_bytes`."""
        self.root = Path(root)
        self._max_bytes = max_bytes

    def fit(self, kind: str, key: str, compute: Callable[[], Artifact]) -> Artifact:
        """Return the stored artefact of `kind` and `key`; compute and store it if there is none.

        Models that ask for the same artefact at the same time wait for one computation. A file that cannot
        be read counts as absent. What comes back is always what was read from disk, so that the first
        build and every later one see the same bytes.
        """
        run_id = f"{kind}-{key}"
        with _locks[str(self.root / run_id)]:
            stored = self._read(run_id)
            if stored is not None:
                return stored
            started = time.perf_counter()
            computed = compute()
            computed.meta |= {
                "kind": kind,
                "run_id": run_id,
                "seconds": round(time.perf_counter() - started, 3),
                "peak_memory_mb": _peak_memory_mb(),
            }
            self._write(run_id, computed)
            stored = self._read(run_id)
            if stored is None:
                raise OSError(f"The artefact {run_id} cannot be read back from {self.root}.")
            return stored

    def load(self, run_id: str) -> Artifact:
        """Return a stored artefact.

        Raises:
            KeyError: If there is none, or it cannot be read.
        """
        stored = self._read(run_id)
        if stored is None:
            raise KeyError(f"The store {self.root} has no readable artefact {run_id}: rebuild its table.")
        return stored

    def meta(self, run_id: str) -> dict[str, Any]:
        """Return the description of a stored artefact without reading its arrays.

        Raises:
            KeyError: If there is none, or it cannot be read.
        """
        try:
            return json.loads(self._path(run_id, "json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise KeyError(
                f"The store {self.root} has no readable artefact {run_id}: rebuild its table."
            ) from error

    def run_ids(self, kind: str) -> list[str]:
        """Return the ids of the stored artefacts of a kind, the newest first."""
        found = [path for path in self.root.glob(f"{kind}-*.json") if path.stem.rpartition("-")[0] == kind]
        return [path.stem for path in sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.stem))]

    def _path(self, run_id: str, suffix: str) -> Path:
        return self.root / f"{run_id}.{suffix}"

    def _read(self, run_id: str) -> Artifact | None:
        try:
            meta = self.meta(run_id)
            with np.load(self._path(run_id, "npz"), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            os.utime(self._path(run_id, "json"))
        except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        _used_here.add(str(self.root / run_id))
        return Artifact(arrays, meta)

    def _write(self, run_id: str, artifact: Artifact) -> None:
        text = json.dumps(_plain(artifact.meta), sort_keys=True, allow_nan=False, ensure_ascii=False)
        atomic_write(self._path(run_id, "npz"), lambda file: np.savez(file, **artifact.arrays))
        atomic_write(self._path(run_id, "json"), lambda file: file.write(text.encode("utf-8")))
        self._prune()

    def _prune(self) -> None:
        """Delete least recently used artefacts until the store fits; never those that this process used."""
        found = []
        for path in self.root.glob("*.json"):
            try:
                arrays = path.with_suffix(".npz")
                found.append(
                    (path.stat().st_mtime, path.stat().st_size + arrays.stat().st_size, path, arrays)
                )
            except OSError:
                continue
        excess = sum(size for _, size, _, _ in found) - self._max_bytes
        for _, size, path, arrays in sorted(found, key=lambda entry: (entry[0], entry[2])):
            if excess <= 0:
                return
            if str(path.with_suffix("")) not in _used_here:
                path.unlink(missing_ok=True)
                arrays.unlink(missing_ok=True)
                excess -= size


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _plain(value: Any) -> Any:
    """Turn numpy scalars and tuples into JSON types, and numbers that JSON does not know into null."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _feed(digest: Any, part: Any) -> None:
    """Add one part to the digest: a tag with type and size, then the content, so that parts cannot merge."""
    if isinstance(part, np.generic):
        part = part.item()
    match part:
        case None | bool() | int() | float():
            digest.update(f"{type(part).__name__}:{part!r};".encode())
        case str():
            content = part.encode("utf-8", "surrogatepass")
            digest.update(f"str:{len(content)};".encode() + content)
        case bytes():
            digest.update(f"bytes:{len(part)};".encode() + part)
        case dict():
            digest.update(f"dict:{len(part)};".encode())
            for key in sorted(part, key=str):
                _feed(digest, str(key))
                _feed(digest, part[key])
        case list() | tuple():
            digest.update(f"list:{len(part)};".encode())
            for entry in part:
                _feed(digest, entry)
        case np.ndarray():
            if part.dtype.hasobject:
                raise TypeError("An array of objects has no stable fingerprint: give it a fixed type.")
            digest.update(f"array:{part.dtype.str}:{part.shape};".encode())
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        case sparse.sparray() | sparse.spmatrix():
            matrix = sparse.csr_array(part, copy=True)
            matrix.sum_duplicates()
            matrix.eliminate_zeros()
            digest.update(f"sparse:{matrix.shape};".encode())
            for array in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data):
                _feed(digest, array)
        case pl.DataFrame():
            digest.update(f"frame:{part.shape};".encode())
            for column in part.iter_columns():
                _feed(digest, column.name)
                _feed(digest, column)
        case pl.Series():
            _feed_series(digest, part)
        case _:
            raise TypeError(f"A {type(part).__name__} has no fingerprint.")


def _feed_series(digest: Any, series: pl.Series) -> None:
    """Add a polars column: type, nulls, and values with nulls replaced (below a null may lie garbage)."""
    digest.update(f"series:{series.dtype}:{len(series)};".encode())
    _feed(digest, series.is_null().to_numpy())
    if series.dtype in (pl.List, pl.Array):
        lists = series.cast(pl.List(series.dtype.inner))
        _feed(digest, lists.list.len().fill_null(0).to_numpy())
        # An empty list explodes to a null, which the lengths already tell apart.
        _feed_series(digest, lists.explode())
    elif series.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = series.cast(pl.String).fill_null("")
        _feed(digest, text.str.len_bytes().to_numpy())
        digest.update("".join(text.to_list()).encode("utf-8"))
    elif series.dtype == pl.Null:
        return
    elif series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean:
        if series.dtype.is_decimal():
            series = series.cast(pl.String)
            _feed_series(digest, series)
        else:
            physical = series.to_physical()
            _feed(digest, physical.fill_null(False if physical.dtype == pl.Boolean else 0).to_numpy())
    else:
        raise TypeError(f"A column of {series.dtype} has no fingerprint.")
