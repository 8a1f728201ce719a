"""Tables of fused vectors: one for all users, and one vector per user for each segmentation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from manyfaces.embeddings import fusion, text
from manyfaces.embeddings.blocks import Block, attribute_block
from manyfaces.frames import sparse_matrix, vector_table, vectors_of
from manyfaces.keeping import Plan, keep_or_fit
from manyfaces.progress import say, stage
from manyfaces.store import Artifact, ArtifactStore, fingerprint

ATTRIBUTES = ("age_band", "gender", "income_band", "occupation", "region")
DEFAULT_DIMS = 32

Loader = Callable[[], pl.DataFrame]

SEGMENTATION_VECTOR_SCHEMA = {
    "segmentation": pl.String,
    "user_key": pl.String,
    "vector": pl.List(pl.Float32),
    "past_vector": pl.List(pl.Float32),
    "space": pl.String,
}


class Evidence:
    """Everything known about users that can become a block; a table is read when its block is asked for."""

    def __init__(
        self,
        matrix_users: pl.DataFrame,
        user_features: Loader,
        user_category_weights: Loader,
        user_attributes: Loader,
        vectors: Mapping[str, Loader],
        category_outlook: Loader | None = None,
    ) -> None:
        """Take the tables.

        Args:
            matrix_users: user_index, user_key.
            user_features: user_key and columns that end in _normalised.
            user_category_weights: user_index, category_index, category, weight.
            user_attributes: user_key and ATTRIBUTES as text.
            vectors: By encoder: user_key, vector, run_id, model_version; a user may be missing.
            category_outlook: user_index, category_index, category, past_weight.
        """
        self.users = matrix_users.sort("user_index").select("user_key")
        self._features, self._categories, self._attributes = (
            user_features,
            user_category_weights,
            user_attributes,
        )
        self._vectors, self._outlook = dict(vectors), category_outlook
        self._read: dict[str, pl.DataFrame] = {}

    @property
    def names(self) -> list[str]:
        """Names of all blocks."""
        return sorted({"activity", "categories", "attributes", *self._vectors})

    def table(self, encoder: str) -> pl.DataFrame:
        """Return the vectors of an encoder as they lie in its table."""
        if encoder not in self._read:
            self._read[encoder] = self._vectors[encoder]()
        return self._read[encoder]

    def block(self, name: str) -> Block:
        """Return a block with a row for each user; a user without a vector gets zeros.

        Raises:
            KeyError: If there is no block of that name.
        """
        if name == "activity":
            features = self._features()
            names = sorted(column for column in features.columns if column.endswith("_normalised"))
            values = self._by_user(features.select("user_key", *names))
            return Block(
                values.select(pl.all().cast(pl.Float64)).fill_null(np.nan).to_numpy(), names, "activity"
            )
        if name == "categories":
            return self._category_block(self._categories(), "weight")
        if name == "attributes":
            return attribute_block(self._by_user(self._attributes().select("user_key", *ATTRIBUTES)))
        vectors = vectors_of(self._by_user(self.table(name).select("user_key", "vector")).to_series())
        return Block(vectors, kind="directions")

    def space(self, name: str) -> str:
        """Return what tells the axes of a block from those of another build.

        The run that fitted the encoder; a text encoder that nothing is fitted for is told by its version.
        Columns with names need no more than their names.
        """
        if name not in self._vectors or self.table(name).is_empty():
            return name
        run_id, version = self.table(name).select("run_id", "model_version").row(0)
        is_fixed = version.startswith(f"{text.MODEL_VERSION}/") and not version.endswith(f"/{text.TFIDF}")
        return version if is_fixed else run_id

    def past_categories(self) -> Block | None:
        """Return the block `categories` as it was prediction_days before the wall; None if nobody knows."""
        return None if self._outlook is None else self._category_block(self._outlook(), "past_weight")

    def _category_block(self, weights: pl.DataFrame, column: str) -> Block:
        columns = weights.select("category_index", "category").unique().sort("category_index")
        matrix = sparse_matrix(
            weights.select("user_index", "category_index", column), len(self.users), len(columns)
        )
        matrix.eliminate_zeros()
        return Block(matrix, columns["category"].to_list(), "categories")

    def _by_user(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self.users.join(frame, on="user_key", how="left", maintain_order="left").drop("user_key")


def fit_fusion(
    kind: str,
    evidence: Evidence,
    rows: np.ndarray | None,
    weights: Mapping[str, float],
    dims: int,
    store: ArtifactStore,
    plan: Plan,
) -> tuple[np.ndarray, Artifact]:
    """Return the fused vectors of some users (or of all) and the run that learned their space.

    Args:
        kind: Kind of the run.
        evidence: Where the blocks come from.
        rows: Ascending rows of evidence.users, None for all.
        weights: Weight by block; see fusion.fuse.
        dims: Length of a vector, at most.
        store: Where runs are kept.
        plan: Whether an earlier space goes on serving. It does as long as its encoders do.

    Raises:
        ValueError: If weights name an unknown block or none is positive.
    """
    weights = {name: float(weight) for name, weight in weights.items()}
    used = [name for name in evidence.names if weights.get(name, 0) > 0]
    blocks = {
        name: evidence.block(name) if name in used else Block(np.zeros((len(evidence.users), 0)))
        for name in evidence.names
    }
    if rows is not None:
        blocks = {
            name: Block(block.values[rows], block.columns, block.kind) for name, block in blocks.items()
        }
    used_weights = {name: weights[name] for name in used}
    artifact = keep_or_fit(
        store,
        kind,
        fingerprint(fusion.MODEL_VERSION, used_weights, dims, [evidence.space(name) for name in used]),
        fingerprint({name: [block.values, block.names] for name, block in blocks.items()}),
        lambda: fusion.fuse(blocks, weights, dims),
        plan,
    )
    return fusion.project(blocks, artifact), artifact


def user_embedding_table(
    evidence: Evidence, weights: Mapping[str, float], dims: int, store_dir: str, plan: Plan
) -> pl.DataFrame:
    """Return one fused vector per user: user_key, vector, run_id, model_version. See `fit_fusion`."""
    with stage("user_embeddings", len(evidence.users)):
        vectors, artifact = fit_fusion(
            "fusion", evidence, None, weights, dims, ArtifactStore(store_dir), plan
        )
    return vector_table(evidence.users, vectors, artifact.run_id, fusion.MODEL_VERSION)


def segmentation_vector_table(
    specs: Sequence[Mapping[str, Any]],
    evidence: Evidence,
    populations: pl.DataFrame,
    store_dir: str,
    plan: Plan,
) -> pl.DataFrame:
    """Return the vectors that each segmentation divides.

    Args:
        specs: Declarations with either `encoder`, or `blocks` (weight by block) and `dims`, or neither.
        evidence: Where vectors and blocks come from.
        populations: segmentation, user_key: who belongs to each segmentation.
        store_dir: Root of the artefact store.
        plan: Whether earlier spaces go on serving.

    Returns:
        A row per segmentation and user that has vectors, with the columns of SEGMENTATION_VECTOR_SCHEMA. The
        past vector is where the categories of some weeks ago would have placed the user, all else being
        average; null where that is not known. Vectors of one segmentation with one `space` can be compared,
        also between builds.
    """
    store = ArtifactStore(store_dir)
    frames = [pl.DataFrame(schema=SEGMENTATION_VECTOR_SCHEMA)]
    for spec in specs:
        name = spec["name"]
        chosen = populations.filter(segmentation=name).select("user_key")
        if spec.get("blocks"):
            members = evidence.users.with_row_index("row").join(chosen, on="user_key", how="semi").sort("row")
            dims = int(spec.get("dims") or DEFAULT_DIMS)
            rows = members["row"].to_numpy()
            vectors, artifact = fit_fusion(f"space_{name}", evidence, rows, spec["blocks"], dims, store, plan)
            space = artifact.run_id
            found = vector_table(members.select("user_key"), vectors, space, "").select("user_key", "vector")
            found = found.with_columns(past_vector=_past_vectors(evidence, rows, artifact))
        elif spec.get("encoder") is None:
            # Communities are found in relations: their users need no vector, only a row.
            found, space = chosen.sort("user_key").with_columns(vector=pl.lit([], pl.List(pl.Float32))), ""
        else:
            table, space = evidence.table(spec["encoder"]), evidence.space(spec["encoder"])
            found = (
                table.select("user_key", "vector").join(chosen, on="user_key", how="semi").sort("user_key")
            )
        if found.is_empty():
            say(f"segmentation {name}: none of its {len(chosen)} users has a vector")
        if "past_vector" not in found.columns:
            found = found.with_columns(past_vector=pl.lit(None, pl.List(pl.Float32)))
        frames.append(
            found.select(
                pl.lit(name).alias("segmentation"),
                "user_key",
                pl.col("vector", "past_vector").cast(pl.List(pl.Float32)),
                pl.lit(space).alias("space"),
            )
        )
    return pl.concat(frames)


def _past_vectors(evidence: Evidence, rows: np.ndarray, artifact: Artifact) -> pl.Series:
    """Return where the users' categories of some weeks ago lie in a space; null for users without any."""
    weights = artifact.meta["parameters"]["weights"]
    past = evidence.past_categories() if "categories" in weights else None
    if past is None:
        return pl.Series(values=[None] * len(rows), dtype=pl.List(pl.Float32))
    categories = Block(past.values[rows], past.columns, past.kind)
    others = {name: Block(np.zeros((len(rows), 0))) for name in weights if name != "categories"}
    vectors = fusion.project(others | {"categories": categories}, artifact, known=["categories"])
    is_known = np.diff(categories.values.indptr) > 0
    return pl.Series(
        [
            vector if known else None
            for vector, known in zip(vectors.tolist(), is_known.tolist(), strict=True)
        ],
        dtype=pl.List(pl.Float32),
    )
