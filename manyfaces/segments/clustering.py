"""Segmentations by clustering: each is declared as a dict, fitted once, and kept with its candidates.

k-means tries several numbers of segments, DBSCAN several radii; every candidate is kept with the reason for
or against it. The result for a user is the segment, the distances to its own and to the second nearest
centre, and the margin between them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.spatial.distance import cdist

from manyfaces.frames import vector_matrix
from manyfaces.progress import say, stage
from manyfaces.segments import density, kmeans
from manyfaces.segments.candidates import INDICES
from manyfaces.segments.specs import python_specs, validate_spec
from manyfaces.segments.users import ASSIGN_BLOCK, check_users
from manyfaces.store import Artifact, ArtifactStore, fingerprint

ALGORITHMS = {
    "kmeans": (kmeans.fit_kmeans, kmeans.MODEL_VERSION),
    "dbscan": (density.fit_dbscan, density.MODEL_VERSION),
}
# Share of a segment's users that lie within its radius.
RADIUS_QUANTILE = 0.99

CLUSTER_SCHEMA = {
    "segmentation": pl.String,
    "user_key": pl.String,
    "cluster": pl.Int32,
    "distance": pl.Float64,
    "second_distance": pl.Float64,
    "margin": pl.Float64,
    "run_id": pl.String,
    "model_version": pl.String,
}
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
    "stability": pl.Float64,
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
    "users": pl.Int64,
    "centroid": pl.List(pl.Float32),
    "radius": pl.Float64,
    "run_id": pl.String,
}


def fit_segmentation(
    spec: Mapping[str, Any], vectors: np.ndarray, keys: Sequence[str], seed: int, store: ArtifactStore
) -> Artifact:
    """Cluster users as one segmentation declares it; the same input is fitted only once.

    Args:
        spec: The declaration, see `validate_spec`.
        vectors: (n, d) user vectors.
        keys: (n,) user keys, strictly ascending.
        seed: Seed of every random start and sample.
        store: Where the result is kept.

    Returns:
        Artifact with the arrays labels (n,), distance (n,), second_distance (n,), margin (n,), centroids
        (k, d), radius (k,) and users (k,), and meta with the candidates. Segments are numbered from 0 by
        falling size, equal sizes by their smallest user key. Label -1 and NaN distances mean noise, a NaN
        second_distance and margin mean that there is no second segment.

    Raises:
        ValueError: If the declaration is wrong, vectors are not finite, or keys are not ascending.
    """
    spec = validate_spec(spec)
    name, algorithm = spec["name"], spec["algorithm"]
    vectors = np.asarray(vectors, dtype=np.float32)
    key_series = pl.Series(keys, dtype=pl.String)
    check_users(f"Segmentation {name}", vectors, key_series)
    fit, version = ALGORITHMS[algorithm]
    data = fingerprint(key_series, vectors)

    def compute() -> Artifact:
        with stage(f"segmentation {name}", len(vectors)):
            labels, centroids, candidates = fit(spec, vectors, key_series, seed)
            arrays = _describe(vectors, labels, centroids)
        champion = next((row for row in candidates if row["is_champion"]), {})
        say(f"segmentation {name}: {champion.get('reason', 'no users')}")
        return Artifact(
            arrays=arrays,
            meta={
                "segmentation": name,
                "algorithm": algorithm,
                "model_version": version,
                "parameters": spec | {"seed": seed},
                "data_fingerprint": data,
                "metrics": {key: champion.get(key) for key in ("clusters", *INDICES, "noise_share")},
                "rows": len(vectors),
                "log": [],
                "candidates": candidates,
            },
        )

    return store.fit(f"segments_{name}", fingerprint(version, spec, seed, data), compute)


def fit_segmentations(
    specs: Sequence[Mapping[str, Any]],
    sources: Mapping[str, pl.DataFrame],
    seed: int,
    store: ArtifactStore,
    populations: Mapping[str, pl.Series] | None = None,
) -> pl.DataFrame:
    """Fit every segmentation of the list that is not made in SQL.

    Args:
        specs: Declarations, see `validate_spec`.
        sources: By name of an encoder: frames user_key, vector (lists of equal length), in any order.
        seed: Seed of every random start and sample.
        store: Where results are kept.
        populations: Keys of the users of a segmentation, by its name; all users where it has none.

    Returns:
        One row per segmentation and user with the columns of CLUSTER_SCHEMA; noise has cluster -1 and no
        distances.

    Raises:
        ValueError: If a declaration is wrong or two have the same name.
    """
    frames = [pl.DataFrame(schema=CLUSTER_SCHEMA)]
    for spec in python_specs(specs):
        users = sources[spec["encoder"]]
        if populations and spec["name"] in populations:
            members = populations[spec["name"]].alias("user_key").to_frame()
            users = users.join(members, on="user_key", how="semi")
        users = users.sort("user_key")
        artifact = fit_segmentation(spec, vector_matrix(users), users["user_key"], seed, store)
        frames.append(
            pl.DataFrame(
                {
                    "user_key": users["user_key"],
                    "cluster": artifact.arrays["labels"],
                    **{
                        column: artifact.arrays[column]
                        for column in ("distance", "second_distance", "margin")
                    },
                }
            )
            .with_columns(
                pl.col("distance", "second_distance", "margin").fill_nan(None),
                segmentation=pl.lit(spec["name"]),
                run_id=pl.lit(artifact.run_id),
                model_version=pl.lit(artifact.meta["model_version"]),
            )
            .select(pl.col(column).cast(kind) for column, kind in CLUSTER_SCHEMA.items())
        )
    return pl.concat(frames)


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


def centroid_frame(run_ids: Sequence[str], store: ArtifactStore) -> pl.DataFrame:
    """Return the centres of the given runs: what new users can be assigned to without Python."""
    frames = [pl.DataFrame(schema=CENTROID_SCHEMA)]
    for run_id in run_ids:
        artifact = store.load(run_id)
        arrays = artifact.arrays
        frames.append(
            pl.DataFrame(
                {
                    "segmentation": [artifact.meta["segmentation"]] * len(arrays["users"]),
                    "cluster": range(len(arrays["users"])),
                    "users": arrays["users"],
                    "centroid": arrays["centroids"].tolist(),
                    "radius": arrays["radius"],
                    "run_id": [run_id] * len(arrays["users"]),
                },
                schema=CENTROID_SCHEMA,
            )
        )
    return pl.concat(frames)


def _describe(points: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> dict[str, np.ndarray]:
    """Number segments by size, and measure every user's distances; see `fit_segmentation` for the result."""
    users = np.bincount(labels[labels >= 0], minlength=len(centroids))
    first = np.full(len(centroids), len(labels))
    np.minimum.at(first, labels[labels >= 0], np.flatnonzero(labels >= 0))
    order = np.lexsort((first, -users))[: np.count_nonzero(users)]
    number = np.full(len(centroids) + 1, -1)
    number[order] = np.arange(len(order))
    labels, centroids, users = number[labels], centroids[order], users[order]

    own = np.full(len(points), np.nan)
    second = np.full(len(points), np.nan)
    inside = np.flatnonzero(labels >= 0)
    for start in range(0, len(inside), ASSIGN_BLOCK):
        block = inside[start : start + ASSIGN_BLOCK]
        distances = cdist(points[block], centroids).round(6)
        rows = np.arange(len(block))
        own[block] = distances[rows, labels[block]]
        if len(centroids) > 1:
            distances[rows, labels[block]] = np.inf
            second[block] = distances.min(axis=1)
    with np.errstate(invalid="ignore"):
        margin = np.where(second > 0, np.clip((second - own) / second, 0, 1).round(6), second * 0)
    return {
        "labels": labels.astype(np.int32),
        "distance": own,
        "second_distance": second,
        "margin": margin,
        "centroids": centroids.astype(np.float32),
        "radius": np.array(
            [np.quantile(own[labels == number], RADIUS_QUANTILE).round(6) for number in range(len(order))]
        ),
        "users": users.astype(np.int64),
    }
