"""The same recommender with one segmentation after the other: what a segmentation is worth to the lists.

The linear ranker learns anew with each: its feature of popularity in the segment is that of the segmentation,
and so are the segments that may have weights of their own. Everything else, the candidates first of all,
stays the same.
"""

import numpy as np
import polars as pl

from manyfaces.progress import stage
from manyfaces.recommendations import ranker
from manyfaces.recommendations.ranker import LISTS
from manyfaces.recommendations.ranking import read_examples
from manyfaces.recommendations.top_items import DECIMALS

SCHEMA = {
    "segmentation": pl.String,
    "list": pl.String,
    "user_key": pl.String,
    "rank": pl.Int32,
    "item_id": pl.String,
}
NONE = "none"


def with_segmentation(frame: pl.DataFrame, members: pl.DataFrame, strengths: pl.DataFrame) -> pl.DataFrame:
    """Put another segmentation into features.

    Args:
        frame: user_number, item_number, segment_id and in_segment among other columns.
        members: user_number, segment_id of one wall and segmentation; users without a row have no segment.
        strengths: segment_id, item_number, strength of the same wall and segmentation.

    Returns:
        The frame with segment_id and in_segment replaced, in the same order.
    """
    return (
        frame.drop("segment_id", "in_segment")
        .join(
            members.select("user_number", "segment_id"), on="user_number", how="left", maintain_order="left"
        )
        .join(
            strengths.select("segment_id", "item_number", in_segment=pl.col("strength").cast(pl.Float32)),
            on=["segment_id", "item_number"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("in_segment").fill_null(0))
        .select(frame.columns)
    )


def segmentation_table(
    examples: pl.DataFrame,
    candidates: pl.DataFrame,
    members: pl.DataFrame,
    strengths: pl.DataFrame,
    users: pl.DataFrame,
    items: pl.DataFrame,
    *,
    top_n: int,
    seed: int,
) -> pl.DataFrame:
    """Rank the candidates of the judged users with each segmentation and with none.

    Args:
        examples: training_examples.
        candidates: candidate_features of the build's wall, of the judged users.
        members: wall_number, segmentation, user_number, segment_id.
        strengths: wall_number, segmentation, segment_id, item_number, strength.
        users: user_number, user_key.
        items: item_number, item_id.
        top_n: length of a list.
        seed: as that of the ranker.

    Returns:
        Columns of SCHEMA; no rows where too little was taken to learn from.
    """
    found = [pl.DataFrame(schema=SCHEMA)]
    examples = examples.sort("user_number", "item_number")
    candidates = candidates.sort("user_number", "item_number")
    for segmentation in (NONE, *sorted(members["segmentation"].unique())):
        own_members = members.filter(segmentation=segmentation)
        own_strengths = strengths.filter(segmentation=segmentation)
        taught, scored = (
            with_segmentation(
                frame,
                own_members.filter(wall_number=wall_number),
                own_strengths.filter(wall_number=wall_number),
            )
            for frame, wall_number in ((examples, 1), (candidates, 0))
        )
        for list_name in LISTS:
            rows, features = read_examples(taught, list_name)
            if rows.taken.sum() < ranker.MIN_TAKEN:
                continue
            with stage(f"lists with {segmentation}, {list_name}"):
                weights, _ = ranker.fit_linear(rows, seed)
                wanted = scored.filter(~pl.col("is_repeat")) if list_name == "discover" else scored
                logits = _logits(wanted, features, weights)
            found.append(
                wanted.select("user_number", "item_number")
                .with_columns(logit=pl.Series(logits.round(DECIMALS)))
                .sort("user_number", "logit", "item_number", descending=[False, True, False])
                .with_columns(rank=pl.int_range(1, pl.len() + 1).over("user_number").cast(pl.Int32))
                .filter(pl.col("rank") <= top_n)
                .join(users, on="user_number", maintain_order="left")
                .join(items, on="item_number", maintain_order="left")
                .select(
                    pl.lit(segmentation).alias("segmentation"),
                    pl.lit(list_name).alias("list"),
                    "user_key",
                    "rank",
                    "item_id",
                )
            )
    return pl.concat(found)


def _logits(frame: pl.DataFrame, features: list[str], weights: list[ranker.Weights]) -> np.ndarray:
    """Score rows with the weights of their segment, or those of everyone."""
    matrix = frame.select(features).to_numpy().astype(np.float32)
    segments = frame["segment_id"].fill_null("").to_numpy().astype(np.str_)
    logits = ranker.linear_logits(matrix, weights[0])
    for own in weights[1:]:
        members = segments == own.segment
        logits[members] = ranker.linear_logits(matrix[members], own)
    return logits
