"""Segmentations by clustering: each is declared as a dict, fitted once, and kept with its candidates.

Every algorithm tries several candidates, such as numbers of segments; each is kept with the reason for or
against it. The result for a user is the segment, the distances to its own and to the second nearest
centre, and the margin between them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from scipy.spatial.distance import cdist

from manyfaces.progress import say, stage
from manyfaces.segments.algorithms import ALGORITHMS
from manyfaces.segments.inputs import Clustering, FitInputs, label_series
from manyfaces.segments.settings import INDICES
from manyfaces.segments.specs import validate_spec
from manyfaces.segments.users import ASSIGN_BLOCK, check_users
from manyfaces.store import Artifact, ArtifactStore, fingerprint

# Share of a segment's users that lie within its radius.
RADIUS_QUANTILE = 0.99

CANDIDATE_SCHEMA = {
    "segmentation": pl.String,
    "candidate": pl.String,
    "algorithm": pl.String,
    "parameters": pl.String,
    "clusters": pl.Int32,
    "silhouette": pl.Float64,
    "calinski_harabasz": pl.Float64,
    "davies_bouldin": pl.Float64,
    "dunn": pl.Float64,
    "gap": pl.Float64,
    "gap_error": pl.Float64,
    "stability": pl.Float64,
    "predictive": pl.Float64,
    "noise_share": pl.Float64,
    "smallest_share": pl.Float64,
    "votes": pl.Int32,
    "mean_rank": pl.Float64,
    "is_champion": pl.Boolean,
    "reason": pl.String,
    "run_id": pl.String,
}
CENTROID_SCHEMA = {
    "segmentation": pl.String,
    "cluster": pl.Int32,
    "segment_number": pl.Int32,
    "algorithm": pl.String,
    "is_centroid": pl.Boolean,
    "users": pl.Int64,
    "centroid": pl.List(pl.Float32),
    "radius": pl.Float64,
    "name": pl.String,
    "parent_segmentation": pl.String,
    "parent_number": pl.Int32,
    "run_id": pl.String,
}


def fit_segmentation(spec: Mapping[str, Any], inputs: FitInputs, store: ArtifactStore) -> Artifact:
    """Cluster users as one segmentation declares it; the same input is fitted only once.

    Args:
        spec: The declaration, see `validate_spec`.
        inputs: The users, see `FitInputs`; vectors of any kind of number.
        store: Where the result is kept.

    Returns:
        Artifact with the arrays labels (n,), those of `measure_distances`, centroids (k, d), radius (k,) and
        users (k,), and meta with the candidates. Segments are numbered from 0 by falling size, equal sizes by
        their smallest user key. Label -1 and NaN distances mean noise, a NaN second_distance and margin mean
        that there is no second segment.

        Where the algorithm knows more there are further arrays: probability (n,); parents (k,), the number of
        the parent on the next coarser level; coarser_<m> (k,) for each coarser level of m segments, the
        number of the ancestor on it, numbered like segments; and meta has names, a list of k.

    Raises:
        ValueError: If the declaration is wrong, vectors are not finite, or keys are not ascending.
    """
    spec = validate_spec(spec)
    name, algorithm = spec["name"], ALGORITHMS[spec["algorithm"]]
    inputs = replace(
        inputs, vectors=np.asarray(inputs.vectors, np.float32), keys=pl.Series(inputs.keys, dtype=pl.String)
    )
    check_users(f"Segmentation {name}", inputs.vectors, inputs.keys)
    data = _data_fingerprint(inputs, algorithm.reads)

    def compute() -> Artifact:
        with stage(f"segmentation {name}", len(inputs.vectors)):
            found = algorithm.fit(spec, inputs)
            arrays, names = _describe(inputs.vectors, found)
        champion = next((row for row in found.candidates if row["is_champion"]), {})
        say(f"segmentation {name}: {champion.get('reason', 'no users')}")
        return Artifact(
            arrays=arrays,
            meta={
                "segmentation": name,
                "algorithm": spec["algorithm"],
                "model_version": algorithm.version,
                "parameters": spec | {"seed": inputs.seed},
                "data_fingerprint": data,
                "metrics": {key: champion.get(key) for key in ("clusters", *INDICES, "noise_share")},
                "rows": len(inputs.vectors),
                "log": [],
                "candidates": found.candidates,
                "names": names,
            },
        )

    key = fingerprint(algorithm.version, spec, inputs.seed, data)
    return store.fit(f"segments_{name}", key, compute)


def candidate_frame(run_ids: Sequence[str], store: ArtifactStore) -> pl.DataFrame:
    """Return every candidate of the given runs with its indices, the vote and the reason."""
    rows = []
    for run_id in run_ids:
        meta = store.meta(run_id)
        constant = {
            "segmentation": meta["segmentation"],
            "algorithm": meta["algorithm"],
            "run_id": run_id,
        }
        rows += [
            row | constant | {"parameters": json.dumps(row["parameters"], sort_keys=True)}
            for row in meta["candidates"]
        ]
    return pl.DataFrame(rows, schema=CANDIDATE_SCHEMA)


def level_name(name: str, segments: int) -> str:
    """Return the name under which a coarser level of a hierarchy is a segmentation of its own."""
    return f"{name}_{segments}"


def coarser_levels(artifact: Artifact) -> dict[int, np.ndarray]:
    """Return the (k,) ancestors of the segments of a fit by number of segments of each coarser level."""
    prefix = "coarser_"
    levels = {int(name.removeprefix(prefix)): name for name in artifact.arrays if name.startswith(prefix)}
    return {segments: artifact.arrays[levels[segments]] for segments in sorted(levels)}


def level_centres(artifact: Artifact, ancestors: np.ndarray) -> np.ndarray:
    """Return the centres of a coarser level: the means of the centres below, weighted by their users."""
    weights = np.zeros((int(ancestors.max(initial=-1)) + 1, len(ancestors)))
    weights[ancestors, np.arange(len(ancestors))] = artifact.arrays["users"]
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return (weights @ artifact.arrays["centroids"]).astype(np.float32).round(6)


def centroid_frame(numbered: pl.DataFrame, store: ArtifactStore) -> pl.DataFrame:
    """Return the centres of segments: what new users can be assigned to without Python.

    Args:
        numbered: segmentation, cluster, segment_number, run_id: the segments that users are in.
        store: Where the runs lie.

    Returns:
        A row per segment with the columns of CENTROID_SCHEMA. The levels of a hierarchy are segmentations;
        the parent of a segment is one on the next coarser level. Only where `is_centroid` is a user's segment
        the one with the nearest centre.
    """
    rows = []
    for run_id in sorted(numbered["run_id"].unique()):
        artifact = store.load(run_id)
        name, levels = artifact.meta["segmentation"], coarser_levels(artifact)
        finest = len(artifact.arrays["centroids"])
        # From fine to coarse: each level with the number of its segments, and the parents on the next one.
        ladder = [
            (name, np.arange(finest)),
            *((level_name(name, k), levels[k]) for k in sorted(levels)[::-1]),
        ]
        for step, (segmentation, members) in enumerate(ladder):
            coarser = ladder[step + 1] if step + 1 < len(ladder) else None
            centres = level_centres(artifact, members) if step else artifact.arrays["centroids"]
            for cluster, number in (
                numbered.filter(segmentation=segmentation).select("cluster", "segment_number").iter_rows()
            ):
                parent = int(coarser[1][members == cluster][0]) if coarser else None
                rows.append(
                    {
                        "segmentation": segmentation,
                        "cluster": cluster,
                        "segment_number": number,
                        "algorithm": artifact.meta["algorithm"],
                        "is_centroid": ALGORITHMS[artifact.meta["algorithm"]].is_centroid and not step,
                        "users": int(artifact.arrays["users"][members == cluster].sum()),
                        "centroid": centres[cluster].tolist(),
                        "radius": None if step else float(artifact.arrays["radius"][cluster]),
                        "name": artifact.meta["names"][cluster]
                        if artifact.meta["names"] and not step
                        else None,
                        "parent_segmentation": coarser[0] if coarser else None,
                        "parent_cluster": parent,
                        "run_id": run_id,
                    }
                )
    schema = {column: kind for column, kind in CENTROID_SCHEMA.items() if column != "parent_number"}
    frame = pl.DataFrame(rows, schema=schema | {"parent_cluster": pl.Int32})
    parents = frame.select(
        parent_segmentation="segmentation", parent_cluster="cluster", parent_number="segment_number"
    )
    return frame.join(
        parents, on=["parent_segmentation", "parent_cluster"], how="left", maintain_order="left"
    ).select(*CENTROID_SCHEMA)


def _data_fingerprint(inputs: FitInputs, reads: Sequence[str]) -> str:
    """Return the fingerprint of what an algorithm reads of the users."""
    more = {name: getattr(inputs, name) for name in reads}
    if more.get("labels") is not None:
        more["labels"] = label_series(more["labels"])
    return fingerprint(inputs.keys, inputs.vectors, more, inputs.judged_by)


def _describe(points: np.ndarray, found: Clustering) -> tuple[dict[str, np.ndarray], list[str] | None]:
    """Number segments by size, and measure every user's distances; see `fit_segmentation` for the result."""
    order = _order_by_size(found.labels, len(found.centres))
    labels = _renumber(found.labels, order, len(found.centres))
    centroids = found.centres[order]
    arrays = {"labels": labels.astype(np.int32), **measure_distances(points, labels, centroids)}
    arrays |= {
        "centroids": centroids.astype(np.float32),
        "radius": np.array(
            [
                np.quantile(arrays["distance"][labels == number], RADIUS_QUANTILE).round(6)
                for number in range(len(order))
            ]
        ),
        "users": np.bincount(labels[labels >= 0], minlength=len(order)).astype(np.int64),
    }
    if found.probability is not None:
        arrays["probability"] = found.probability
    for level, ancestors in sorted(found.coarser.items()):
        above = np.where(found.labels >= 0, ancestors[found.labels], -1)
        coarse_order = _order_by_size(above, level)
        arrays[f"coarser_{level}"] = _renumber(ancestors[order], coarse_order, level).astype(np.int32)
    if found.parents is not None:
        arrays["parents"] = arrays[f"coarser_{max(found.coarser)}"]
    return arrays, [found.names[number] for number in order] if found.names else None


def _order_by_size(labels: np.ndarray, segments: int) -> np.ndarray:
    """Return the segments that have users, by falling size and of equals by their smallest row."""
    users = np.bincount(labels[labels >= 0], minlength=segments)
    first = np.full(segments, len(labels))
    np.minimum.at(first, labels[labels >= 0], np.flatnonzero(labels >= 0))
    return np.lexsort((first, -users))[: np.count_nonzero(users)]


def _renumber(labels: np.ndarray, order: np.ndarray, segments: int) -> np.ndarray:
    """Number segments by their place in `order`; noise stays noise."""
    number = np.full(segments + 1, -1)
    number[order] = np.arange(len(order))
    return number[labels]


def measure_distances(points: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the distances to the own and to the second nearest centre, and the margin between them.

    Args:
        points: (n, d) vectors.
        labels: (n,) rows of `centroids`, -1 for noise.
        centroids: (k, d) centres.

    Returns:
        distance, second_distance and margin, (n,) each, NaN where there is no such centre; second_cluster
        (n,), the row of the second nearest centre, or -1.
    """
    own = np.full(len(points), np.nan)
    second = np.full(len(points), np.nan)
    runner_up = np.full(len(points), -1, dtype=np.int32)
    inside = np.flatnonzero(labels >= 0)
    for start in range(0, len(inside), ASSIGN_BLOCK):
        block = inside[start : start + ASSIGN_BLOCK]
        distances = cdist(points[block], centroids).round(6)
        rows = np.arange(len(block))
        own[block] = distances[rows, labels[block]]
        if len(centroids) > 1:
            distances[rows, labels[block]] = np.inf
            runner_up[block] = distances.argmin(axis=1)
            second[block] = distances.min(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.where(second > 0, np.clip((second - own) / second, 0, 1).round(6), second * 0)
    return {"distance": own, "second_distance": second, "second_cluster": runner_up, "margin": margin}
