"""The dated table of clustered segments: every declared segmentation at one wall after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from manyfaces.frames import vector_matrix, vectors_of
from manyfaces.segments.algorithms import ALGORITHMS
from manyfaces.segments.clustering import level_name
from manyfaces.segments.inputs import FitInputs, labels_of, relations_of
from manyfaces.segments.lasting import DATED_SCHEMA, NO_ROWS, Policy, Profile, divide_again
from manyfaces.segments.outlook import outlook_judge
from manyfaces.store import ArtifactStore, fingerprint

# Walls in the table: enough to build an earlier one again, and no more to copy with every build.
KEPT_WALLS = 5


def dated_clusters(
    specs: Sequence[Mapping[str, Any]],
    vectors: pl.DataFrame,
    wall: pl.DataFrame,
    previous: pl.DataFrame | None,
    *,
    shares: pl.DataFrame,
    users: pl.DataFrame,
    labels: pl.DataFrame,
    relations: pl.DataFrame,
    outlook: pl.DataFrame,
    policy: Policy,
    seed: int,
    store: ArtifactStore,
) -> pl.DataFrame:
    """Divide the users into segments, for each declared segmentation.

    Args:
        specs: Declarations, checked.
        vectors: segmentation, user_key, vector, past_vector, space, in any order.
        wall: as_of; no row without events.
        previous: What the table held before; None at the first build. Each segmentation goes on from its last
            wall before this one, so that building a wall again gives the same, and nothing is learned from
            behind it.
        shares: user_index, category, share of the user's events: profiles for matching segments.
        users: user_index, user_key.
        labels: user_key, label; of several labels of a user the first by name counts.
        relations: user_key, related_user_key, weight.
        outlook: user_index, category, next_share: what users did in the last weeks, for judging candidates.
        policy: When to fit again.
        seed: Seed of every random start and sample.
        store: Where models lie.

    Returns:
        A row per segmentation and user at this wall, with the columns of DATED_SCHEMA, and those of the other
        walls among the KEPT_WALLS newest.
    """
    if previous is None or dict(previous.schema) != DATED_SCHEMA:
        previous = NO_ROWS
    if wall.is_empty():
        return previous
    as_of = wall["as_of"][0]
    before = _last_wall(previous, as_of)
    frames = [_other_walls(previous, as_of)]
    for spec in specs:
        name = spec["name"]
        own = vectors.filter(segmentation=name).sort("user_key")
        levels = [name, *(level_name(name, segments) for segments in spec.get("levels") or ())]
        last = before.filter(pl.col("segmentation").is_in(levels))
        reads = ALGORITHMS[spec["algorithm"]].reads
        judge, judged_by = _judge(own, users, outlook)
        inputs = FitInputs(
            vectors=vector_matrix(own),
            keys=own["user_key"],
            seed=seed,
            judge=judge,
            judged_by=judged_by,
            labels=labels_of(labels, own["user_key"]) if "labels" in reads else None,
            relations=relations_of(relations, own["user_key"]) if "relations" in reads else None,
        )
        space = own["space"][0] if len(own) else ""
        frames.append(
            divide_again(
                spec,
                inputs,
                space,
                as_of,
                last,
                _profile(own["user_key"], users, shares),
                policy,
                store,
            )
        )
    return pl.concat(frames)


def _other_walls(previous: pl.DataFrame, as_of: Any) -> pl.DataFrame:
    """Return the rows of other walls that stay in the table."""
    others = previous.filter(pl.col("as_of") != as_of)
    newest = others["as_of"].unique().sort(descending=True).head(KEPT_WALLS - 1)
    return others.filter(pl.col("as_of").is_in(newest.implode()))


def _last_wall(previous: pl.DataFrame, as_of: Any) -> pl.DataFrame:
    """Return the rows of each segmentation's last wall before this one."""
    earlier = previous.filter(pl.col("as_of") < as_of)
    return earlier.filter(pl.col("as_of") == pl.col("as_of").max().over("segmentation"))


def _judge(
    own: pl.DataFrame, users: pl.DataFrame, outlook: pl.DataFrame
) -> tuple[Callable[[np.ndarray], float] | None, str]:
    """Return the judge of candidates and its fingerprint; none where no user's past is known."""
    if own.is_empty() or own["past_vector"].null_count() == len(own):
        return None, ""
    past = vectors_of(own["past_vector"])
    past[own["past_vector"].is_null().to_numpy()] = np.nan
    _, outcomes = _by_category(own["user_key"], users, outlook.drop_nulls("next_share"), "next_share")
    return outlook_judge(vector_matrix(own), past, outcomes), fingerprint(past, outcomes)


def _profile(keys: pl.Series, users: pl.DataFrame, shares: pl.DataFrame) -> Profile:
    """Return each user's shares of the categories."""
    return Profile(*_by_category(keys, users, shares, "share"))


def _by_category(
    keys: pl.Series, users: pl.DataFrame, table: pl.DataFrame, column: str
) -> tuple[np.ndarray, sparse.csr_array]:
    """Return the categories (c,) and a column of the table as (n, c), a row per user."""
    names = np.array(table["category"].unique().sort().to_list(), dtype=np.str_)
    places = pl.DataFrame(
        {"category": names, "column": np.arange(len(names))}, schema_overrides={"category": pl.String}
    )
    cells = (
        table.join(users, on="user_index")
        .join(keys.to_frame().with_row_index("row"), on="user_key")
        .join(places, on="category")
        .sort("row", "column")
    )
    shape = (len(keys), len(names))
    values = sparse.csr_array((cells[column].to_numpy(), (cells["row"], cells["column"])), shape=shape)
    values.eliminate_zeros()
    return names, values
