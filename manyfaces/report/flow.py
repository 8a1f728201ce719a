"""The chart of users who move between segments: a column of blocks for each wall, bands between them."""

import altair as alt
import polars as pl

from manyfaces.report.charts import HIDDEN_AXIS, MUTED, Chart, finish, segment_colour


def flow_chart(
    name: str,
    flows: pl.DataFrame,
    shown: pl.DataFrame,
    description: str,
    words: dict[str, str],
) -> Chart:
    """Draw users as bands between segments, a column for each wall.

    Args:
        name: of the place in the page.
        flows: from_as_of, to_as_of, from_segment_id, to_segment_id, users of one segmentation.
        shown: its segments.
        description: what the chart shows, in words.
        words: for new, gone, from, to and users.
    """
    bands, blocks, names = flow_shapes(flows, shown, words)
    walls = sorted({*flows["from_as_of"], *flows["to_as_of"]})
    # Half of a block's width, in steps from wall to wall: wide enough for its number on a narrow screen.
    half = round(0.015 * len(walls), 4)
    blocks = blocks.with_columns(left=pl.col("middle") - half, right=pl.col("middle") + half)
    across = alt.Scale(domain=[-0.12, len(walls) - 1 + 0.12], nice=False)
    x_axis = alt.X("x:Q", scale=across, axis=HIDDEN_AXIS)
    y_scale = alt.Scale(reverse=True, nice=False, domainMin=0)
    colours = {
        "scale": alt.Scale(domain=list(range(9)), range=[segment_colour(colour) for colour in range(9)]),
        "legend": None,
    }
    named = alt.LookupData(
        data=pl.DataFrame(list(names.items()), schema=["segment", "name"], orient="row"),
        key="segment",
        fields=["name"],
    )
    drawn_bands = (
        alt.Chart(bands)
        .transform_lookup("from", named, as_=["from_name"])
        .transform_lookup("to", named, as_=["to_name"])
        .transform_calculate(step="sequence(13)")
        .transform_flatten(["step"])
        .transform_calculate(along="datum.step / 12")
        .transform_calculate(across="datum.along * datum.along * (3 - 2 * datum.along)")
        .transform_calculate(
            x=f"datum.column + {half} + {1 - 2 * half} * datum.along",
            top="datum.start + (datum.end - datum.start) * datum.across",
        )
        .transform_calculate(bottom="datum.top + datum.users")
        .mark_area(orient="vertical", interpolate="linear", aria=False)
        .encode(
            x=x_axis,
            y=alt.Y("top:Q", scale=y_scale, axis=HIDDEN_AXIS),
            y2="bottom:Q",
            detail="band:N",
            color=alt.Color("colour:N", **colours),
            opacity=alt.condition("datum.stays", alt.value(0.42), alt.value(0.26)),
            tooltip=[
                alt.Tooltip("from_name:N", title=words["from"]),
                alt.Tooltip("to_name:N", title=words["to"]),
                alt.Tooltip("users:Q", title=words["users"], format=","),
            ],
        )
    )
    drawn_blocks = (
        alt.Chart(blocks)
        .mark_rect(cornerRadius=2)
        .encode(
            x=alt.X("left:Q", scale=across, axis=HIDDEN_AXIS),
            x2="right",
            y=alt.Y("top:Q", scale=y_scale, axis=HIDDEN_AXIS),
            y2="bottom",
            color=alt.Color("colour:N", **colours),
            tooltip=[
                alt.Tooltip("name:N", title=words["segment"]),
                alt.Tooltip("date:N", title=words["wall"]),
                alt.Tooltip("users:Q", title=words["users"], format=","),
            ],
        )
    )
    total = blocks["bottom"].max()
    numbers = (
        alt.Chart(blocks.filter(pl.col("bottom") - pl.col("top") > 0.026 * total))
        .mark_text(fontWeight=600, aria=False, fill="var(--on-segment)")
        .encode(x="middle:Q", y="centre:Q", text="label:N")
    )
    dates = (
        alt.Chart(
            pl.DataFrame({"x": list(range(len(walls))), "date": [f"{wall:%Y-%m-%d}" for wall in walls]})
        )
        .mark_text(baseline="bottom", dy=-6, fill=MUTED)
        .encode(x="x:Q", y=alt.value(0), text="date:N")
    )
    chart = finish(name, alt.layer(drawn_bands, drawn_blocks, numbers, dates), description, 440)
    chart.specification["config"]["padding"]["top"] = 24
    return chart


def flow_shapes(
    flows: pl.DataFrame, shown: pl.DataFrame, words: dict[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Lay out bands and blocks: heights are users, columns are walls.

    Returns:
        The bands, by where they start and end; the blocks; and the names of the segments.
    """
    segments = {row["segment_id"]: row for row in shown.iter_rows(named=True)}
    last = len(segments) + 1

    def place(segment: str) -> tuple[int, str]:
        special = {"(new)": last + 1, "(gone)": last + 2}
        return special.get(segment, segments.get(segment, {}).get("place", last)), segment

    def named(segment: str) -> str:
        special = {"(new)": words["new"], "(gone)": words["gone"]}
        return special.get(segment) or segments.get(segment, {}).get("name") or segment

    def colour(segment: str) -> int:
        return segments.get(segment, {}).get("colour", 0)

    walls = sorted({*flows["from_as_of"], *flows["to_as_of"]})
    rows = flows.to_dicts()
    steps: list[list[dict]] = [
        sorted(
            (row for row in rows if row["from_as_of"] == first),
            key=lambda row: (place(row["from_segment_id"]), place(row["to_segment_id"])),
        )
        for first in walls[:-1]
    ]
    heights: list[dict[str, int]] = [{} for _ in walls]
    for index, wall in enumerate(walls):
        leaving: dict[str, int] = {}
        coming: dict[str, int] = {}
        for row in rows:
            if row["from_as_of"] == wall:
                leaving[row["from_segment_id"]] = leaving.get(row["from_segment_id"], 0) + row["users"]
            if row["to_as_of"] == wall:
                coming[row["to_segment_id"]] = coming.get(row["to_segment_id"], 0) + row["users"]
        heights[index] = {
            segment: max(leaving.get(segment, 0), coming.get(segment, 0)) for segment in leaving | coming
        }
    gap = 0.012 * max((sum(column.values()) for column in heights), default=1)
    tops: list[dict[str, float]] = []
    blocks = []
    for index, column in enumerate(heights):
        top = 0.0
        tops.append({})
        for segment in sorted(column, key=place):
            tops[index][segment] = top
            blocks.append(
                {
                    "segment": segment,
                    "middle": float(index),
                    "top": top,
                    "bottom": top + column[segment],
                    "centre": top + column[segment] / 2,
                    "name": named(segment),
                    "label": _label(segments.get(segment), segment),
                    "date": f"{walls[index]:%Y-%m-%d}",
                    "users": column[segment],
                    "colour": colour(segment),
                }
            )
            top += column[segment] + gap
    bands = []
    for index, step in enumerate(steps):
        left = dict(tops[index])
        right = dict(tops[index + 1])
        starts = {}
        for row in step:
            starts[row["from_segment_id"], row["to_segment_id"]] = left[row["from_segment_id"]]
            left[row["from_segment_id"]] += row["users"]
        for row in sorted(step, key=lambda row: (place(row["to_segment_id"]), place(row["from_segment_id"]))):
            start = starts[row["from_segment_id"], row["to_segment_id"]]
            end = right[row["to_segment_id"]]
            right[row["to_segment_id"]] += row["users"]
            bands.append(
                {
                    "band": len(bands),
                    "column": index,
                    "start": round(start, 1),
                    "end": round(end, 1),
                    "users": row["users"],
                    "from": row["from_segment_id"],
                    "to": row["to_segment_id"],
                    "colour": colour(row["from_segment_id"]),
                    "stays": row["from_segment_id"] == row["to_segment_id"],
                }
            )
    there = {segment for column in heights for segment in column}
    return pl.DataFrame(bands), pl.DataFrame(blocks), {segment: named(segment) for segment in sorted(there)}


def _label(segment: dict | None, segment_id: str) -> str:
    if segment is None:
        return {"(new)": "+", "(gone)": "\u2212"}.get(segment_id, "")
    return str(segment["number"]) if segment["number"] else ""
