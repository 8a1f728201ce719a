"""The charts of the report, as Vega-Lite specifications made with Altair.

Colours are CSS variables, which an SVG follows when the page turns from light to dark or to paper. Texts from
the data only ever enter as values of rows, never as a part of an expression.
"""

from dataclasses import dataclass
from functools import cache

import altair as alt
import numpy as np
import polars as pl
import vl_convert

FONT = (
    'Inter, "Helvetica Neue", "Segoe UI", system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", '
    '"Noto Sans CJK SC", "Noto Sans SC", sans-serif'
)
# Rows that several charts share; the page holds them once.
MAP_DATA = "map"
_TEXT, MUTED, _RULE, _SURFACE, _ACCENT = (
    f"var(--{name})" for name in ("text", "muted", "rule", "surface", "accent")
)
_PADDING = {"left": 2, "right": 8, "top": 6, "bottom": 2}
# Of the map and of a ring with its margin, in pixels; the map is as wide as its place, which is about this.
_MAP_WIDTH, _MAP_HEIGHT, _RING = 560, 460, 29
HIDDEN_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)


@dataclass(frozen=True)
class Chart:
    """A chart: the name of its place in the page, its specification, and what it shows, in words."""

    name: str
    specification: dict
    description: str


def finish(name: str, chart: alt.Chart | alt.LayerChart, description: str, height: int) -> Chart:
    """Give a chart its size, fonts and quiet axes, and write its specification.

    Args:
        name: of the place in the page.
        chart: what is drawn.
        description: what it shows, in words.
        height: in pixels; the width is that of its place.
    """
    configured = (
        chart.properties(width="container", height=height, description=description)
        .configure(
            font=FONT, background="transparent", padding={"left": 2, "right": 8, "top": 6, "bottom": 2}
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=MUTED,
            gridColor=_RULE,
            domainColor=_RULE,
            tickColor=_RULE,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelLimit=1000,
            titleLimit=1000,
            labelPadding=6,
            titlePadding=10,
        )
        .configure_text(fill=_TEXT, fontSize=12)
    )
    return Chart(name, configured.to_dict(validate=False), description)


def segment_colour(colour: int) -> str:
    """Return the CSS variable of a segment's colour; 0 is that of segments without one."""
    return f"var(--segment-{colour})"


def segment_map(
    name: str,
    field: str,
    shown: pl.DataFrame,
    centres: pl.DataFrame,
    spans: tuple[float, float],
    description: str,
    segment_title: str,
) -> Chart:
    """Draw users by taste, coloured by segment, with a numbered ring in the middle of each segment.

    Args:
        name: of the place in the page.
        field: column of the shared rows that holds the place of a user's segment, 0 for segments not listed.
        shown: segments of one segmentation, see queries.segments.
        centres: the same with x and y.
        spans: widths of the whole map in units of x and of y.
        description: what the chart shows, in words.
        segment_title: word for segment, for the tooltip.
    """
    chosen = alt.param(name="chosen", value=0)
    names = shown.select("place", "name")
    places = [0, *shown["place"].to_list()]
    colours = [segment_colour(0), *map(segment_colour, shown["colour"].to_list())]
    scale = {"scale": alt.Scale(zero=False, nice=False, padding=14), "axis": HIDDEN_AXIS}
    points = (
        alt.Chart(alt.NamedData(name=MAP_DATA))
        .transform_lookup(field, alt.LookupData(data=names, key="place", fields=["name"]))
        .mark_circle(size=16, aria=False)
        .encode(
            x=alt.X("x:Q", **scale),
            y=alt.Y("y:Q", **scale),
            color=alt.Color(f"{field}:N", scale=alt.Scale(domain=places, range=colours), legend=None),
            opacity=alt.condition(
                f"chosen == 0 || datum['{field}'] == chosen", alt.value(0.7), alt.value(0.05)
            ),
            tooltip=alt.Tooltip("name:N", title=segment_title),
        )
        .add_params(chosen)
    )
    if centres.is_empty():
        return finish(name, points, description, _MAP_HEIGHT)
    centres = centres.select("number", "colour", "x", "y", "name", "place").head(16)
    x, y = _apart(centres["x"].to_numpy(), centres["y"].to_numpy(), spans)
    centres = centres.with_columns(label_x=x, label_y=y, number=pl.col("number").cast(pl.String))
    middles = alt.Chart(centres)
    opacity = alt.condition("chosen == 0 || datum.place == chosen", alt.value(1), alt.value(0.15))
    at_label = {"x": alt.X("label_x:Q", **scale), "y": alt.Y("label_y:Q", **scale)}
    ring = alt.Color(
        "place:N",
        scale=alt.Scale(domain=places, range=colours),
        legend=None,
    )
    lines = middles.mark_rule(strokeWidth=1.5, aria=False).encode(
        x=alt.X("x:Q", **scale),
        y=alt.Y("y:Q", **scale),
        x2="label_x",
        y2="label_y",
        color=ring,
        opacity=opacity,
    )
    rings = middles.mark_point(filled=False, shape="circle", size=520, strokeWidth=2.5, fill=_SURFACE).encode(
        **at_label,
        stroke=alt.Stroke("place:N", scale=alt.Scale(domain=places, range=colours), legend=None),
        opacity=opacity,
        tooltip=alt.Tooltip("name:N", title=segment_title),
    )
    numbers = middles.mark_text(fontWeight=600, fontSize=13, aria=False).encode(
        **at_label, text="number:N", opacity=opacity, tooltip=alt.Tooltip("name:N", title=segment_title)
    )
    return finish(name, alt.layer(points, lines, rings, numbers), description, _MAP_HEIGHT)


def _apart(x: np.ndarray, y: np.ndarray, spans: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Move the middles of rings apart until none touches another.

    Args:
        x: of the middles.
        y: of the middles.
        spans: widths of the whole map in units of x and of y.
    """
    unit = np.array([spans[0] / _MAP_WIDTH, spans[1] / _MAP_HEIGHT])
    # Rings in one place part in fixed directions.
    angles = np.arange(len(x)) * 2.399963
    places = np.stack([x, y], axis=1) / unit + np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for _ in range(500):
        between = places[:, None] - places[None]
        distance = np.linalg.norm(between, axis=2) + np.eye(len(x)) * _MAP_WIDTH
        push = np.clip(_RING - distance, 0, None)
        if push.max() < 0.5:
            break
        places = places + (between / distance[:, :, None] * push[:, :, None] / 2).sum(axis=1)
    return places[:, 0] * unit[0], places[:, 1] * unit[1]


def share_chart(name: str, shares: pl.DataFrame, colour: int, largest: float, description: str) -> Chart:
    """Draw the share of one segment over time, small.

    Args:
        name: of the place in the page.
        shares: as_of and share, earliest first.
        colour: of the segment.
        largest: the largest share of all segments, so that all charts have one scale.
        description: what the chart shows, in words.
    """
    rows = shares.select(
        wall=pl.int_range(pl.len()), share="share", date=pl.col("as_of").dt.strftime("%Y-%m-%d")
    )
    line = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=28, filled=True), strokeWidth=2)
        .encode(
            x=alt.X("wall:Q", axis=HIDDEN_AXIS, scale=alt.Scale(nice=False, padding=6)),
            y=alt.Y(
                "share:Q",
                scale=alt.Scale(domain=[0, largest]),
                axis=alt.Axis(format=".0%", tickCount=3, title=None, domain=False, ticks=False),
            ),
            color=alt.value(segment_colour(colour)),
            tooltip=[alt.Tooltip("date:N", title=" "), alt.Tooltip("share:Q", format=".1%", title=" ")],
        )
    )
    return finish(name, line, description, 84)


def interval_chart(
    name: str,
    rows: pl.DataFrame,
    axis_title: str,
    description: str,
    *,
    marks_zero: bool = False,
) -> Chart:
    """Draw figures with their intervals, one below the other.

    Args:
        name: of the place in the page.
        rows: label, value, low, high and tone (accent, good, bad or muted), in the order to be shown.
        axis_title: name and unit of the figure.
        description: what the chart shows, in words.
        marks_zero: whether a line marks zero, for differences.
    """
    tones = ["accent", "good", "bad", "muted"]
    base = alt.Chart(rows).encode(
        y=alt.Y(
            "label:N",
            sort=rows["label"].to_list(),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelColor=_TEXT),
        ),
        color=alt.Color(
            "tone:N", scale=alt.Scale(domain=tones, range=[f"var(--{tone})" for tone in tones]), legend=None
        ),
        tooltip=[
            alt.Tooltip("label:N", title=" "),
            alt.Tooltip("value:Q", format=".4f", title=axis_title),
            alt.Tooltip("low:Q", format=".4f", title="2.5 %"),
            alt.Tooltip("high:Q", format=".4f", title="97.5 %"),
        ],
    )
    x_axis = alt.Axis(tickCount=5, domain=False, ticks=False, title=axis_title)
    scale = alt.Scale(zero=True, nice=True)
    lines = base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
        x=alt.X("low:Q", axis=x_axis, scale=scale), x2="high"
    )
    dots = base.mark_circle(size=80, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=x_axis))
    layers = [lines, dots]
    if marks_zero:
        zero = (
            alt.Chart(pl.DataFrame({"zero": [0.0]}))
            .mark_rule(strokeWidth=1.5, color=_TEXT, aria=False)
            .encode(x=alt.X("zero:Q", axis=x_axis))
        )
        layers.insert(0, zero)
    return finish(name, alt.layer(*layers), description, max(60, 27 * len(rows)))


def loss_chart(name: str, rows: pl.DataFrame, epoch_title: str, description: str, best: int | None) -> Chart:
    """Draw one loss by epoch.

    Args:
        name: of the place in the page.
        rows: epoch and loss.
        epoch_title: word for epoch.
        description: what the chart shows, in words.
        best: epoch to mark, if any.
    """
    line = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(title=epoch_title, grid=False, tickMinStep=1, tickCount=6)),
            y=alt.Y(
                "loss:Q",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(title=None, tickCount=4, domain=False, ticks=False),
            ),
            color=alt.value(_ACCENT),
        )
    )
    points = (
        alt.Chart(rows)
        .mark_circle(size=22, opacity=1)
        .encode(
            x="epoch:Q",
            y="loss:Q",
            color=alt.value(_ACCENT),
            tooltip=[
                alt.Tooltip("epoch:Q", title=epoch_title),
                alt.Tooltip("loss:Q", format=".4f", title=" "),
            ],
        )
    )
    layers = [line, points]
    if best is not None:
        ring = alt.Chart(rows.filter(pl.col("epoch") == best)).mark_point(
            size=150, filled=False, strokeWidth=2
        )
        layers.append(ring.encode(x="epoch:Q", y="loss:Q", color=alt.value(_TEXT)))
    return finish(name, alt.layer(*layers), description, 170)


@cache
def script() -> str:
    """Return the JavaScript that draws Vega-Lite specifications, in the version that Altair writes for."""
    major, minor, *_ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    return vl_convert.javascript_bundle(vl_version=f"{major}.{minor}")
