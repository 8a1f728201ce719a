"""The parts of the report: what templates need of each, and its charts. A part with nothing says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb
import polars as pl

from manyfaces.report import charts, flow, queries
from manyfaces.report.charts import Chart
from manyfaces.report.queries import Marts
from manyfaces.report.wording import Wording


class NothingToShowError(Exception):
    """A part has nothing to show; the text says why."""


@dataclass
class Report:
    """What all parts share: the marts, the words, what was drawn so far."""

    marts: Marts
    words: Wording
    build: dict = field(init=False)
    segmentations: list[dict] = field(init=False)
    segments: pl.DataFrame = field(init=False)
    problem: str | None = None
    charts: list[Chart] = field(default_factory=list)
    shared_rows: dict[str, list[dict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what every part refers to."""
        self.build = queries.build_info(self.marts)
        self.segmentations, self.segments = [], pl.DataFrame()
        try:
            self._read_segments()
        except duckdb.Error as error:
            # The parts that are about segments will say so.
            self.segmentations, self.problem = [], _unreadable(self.words, error)

    def _read_segments(self) -> None:
        default = queries.default_segmentation(self.marts)
        if default is not None:
            self.segmentations = queries.segmentations(self.marts, default).to_dicts()
            self.segments = queries.segments(
                self.marts, [each["segmentation"] for each in self.segmentations]
            )
        for number, each in enumerate(self.segmentations):
            each["key"] = f"s{number}"

    def of(self, segmentation: str) -> pl.DataFrame:
        """Return the segments of a segmentation."""
        return self.segments.filter(pl.col("segmentation") == segmentation)

    def draw(self, chart: Chart) -> Chart:
        """Keep a chart for the page."""
        self.charts.append(chart)
        return chart

    def need(self, *names: str) -> None:
        """Stop the part unless these marts are there."""
        missing = [f"marts.{name}" for name in names if not self.marts.has(name)]
        if missing:
            raise NothingToShowError(self.words("nothing.missing", tables=", ".join(missing)))

    def need_segments(self) -> None:
        """Stop the part unless there are segments."""
        self.need("segments")
        if not self.segmentations:
            raise NothingToShowError(self.problem or self.words("nothing.no_users"))

    def read_part(self, build: Callable[["Report"], dict]) -> dict:
        """Return a part, or a sentence in its place under the key `nothing`. No part breaks the others."""
        drawn = len(self.charts)
        try:
            return build(self)
        except NothingToShowError as nothing:
            del self.charts[drawn:]
            return {"nothing": str(nothing)}
        except duckdb.Error as error:
            del self.charts[drawn:]
            return {"nothing": _unreadable(self.words, error)}


def _unreadable(words: Wording, error: duckdb.Error) -> str:
    return words("nothing.unreadable", error=str(error).splitlines()[0])


def overview(report: Report) -> dict:
    """The key figures: how many users, segments and events, how personal the lists are, and how good."""
    marts, words = report.marts, report.words
    default = report.segmentations[0] if report.segmentations else None
    figures = []
    if default:
        segments = report.of(default["segmentation"]).filter(~pl.col("is_unassigned"))
        note = words("overview.users_note", segmentations=len(report.segmentations))
        figures.append((words.number(default["users"]), words("overview.users"), note))
        if len(segments):
            note = words(
                "overview.largest_note", name=segments["name"][0], smallest=default["smallest_share"]
            )
            figures.append((words.percent(default["largest_share"]), words("overview.largest"), note))
    if marts.has("data_quality"):
        rows = {line["line"]: line for line in queries.data_quality(marts).to_dicts()}
        if rows.get("raw", {}).get("row_count"):
            clean = rows.get("clean", {})
            note = words("overview.rows_note", clean=clean.get("share"), raw=rows["raw"]["row_count"])
            figures.append((words.number(clean.get("row_count")), words("overview.rows"), note))
    if default and marts.has("user_recommendations"):
        levels = marts.row(
            "select count(*) filter (where fallback_level <= 1) / nullif(count(*), 0) as personal "
            "from marts.user_recommendations"
        )
        if levels["personal"] is not None:
            note = words("overview.personal_note")
            figures.append((words.percent(levels["personal"], 0), words("overview.personal"), note))
    figures.append(_hits(report))
    return {"figures": [dict(zip(("value", "name", "note"), figure, strict=True)) for figure in figures]}


def _hits(report: Report) -> tuple[str, str, str]:
    """How many users took something from their list, beside what is popular."""
    words = report.words
    quality = queries.quality(report.marts)
    best = {}
    if not quality.is_empty():
        rows = quality.filter(pl.col("list") == "for_you")
        best = {row["strategy"]: row for row in rows.to_dicts()}
    if not {"blend", "popular"} <= best.keys():
        return words.NOTHING, words("overview.not_judged"), words("overview.not_judged_note")
    blend, popular = best["blend"], best["popular"]
    note = words(
        "overview.hits_note",
        list=words.term("lists", "for_you"),
        k=queries.QUALITY_LENGTH,
        days=round((blend["until"] - blend["as_of"]).total_seconds() / 86400),
        popular=popular["hit_rate"],
    )
    return words.percent(blend["hit_rate"], 0), words("overview.hits"), note


def segments(report: Report) -> dict:
    """For each segmentation its map, the sizes of its segments, and a card for each of the largest."""
    report.need_segments()
    words = report.words
    points = queries.map_points(report.marts, report.segments)
    users_with_position = queries.map_users(report.marts)
    centres = queries.map_centres(report.marts, report.segments)
    carded = report.segments.filter(pl.col("place") <= queries.CARDS)["segment_id"].to_list()
    parts_of_cards = {
        "profile": _by_segment(queries.profiles(report.marts, carded)),
        "categories": _by_segment(queries.top_categories(report.marts, carded)),
        "items": _by_segment(queries.top_items(report.marts, carded)),
        "rules": _by_segment(queries.rules(report.marts, carded)),
    }
    keys = {each["segmentation"]: each["key"] for each in report.segmentations}
    spans = (1.0, 1.0)
    if not points.is_empty():
        spans = tuple((points[axis].max() - points[axis].min()) or 1.0 for axis in ("x", "y"))
        report.shared_rows[charts.MAP_DATA] = points.rename(
            {name: keys[name] for name in points.columns if name in keys}
        ).to_dicts()
    panels = []
    for each in report.segmentations:
        own = report.of(each["segmentation"])
        cards = [
            row | {name: found.get(row["segment_id"], []) for name, found in parts_of_cards.items()}
            for row in own.filter((pl.col("place") <= queries.CARDS) & ~pl.col("is_unassigned")).iter_rows(
                named=True
            )
        ]
        chart = None
        if each["segmentation"] in points.columns:
            chart = report.draw(
                charts.segment_map(
                    f"map-{each['key']}",
                    each["key"],
                    own,
                    _only(centres, segmentation=each["segmentation"]),
                    spans,
                    words("segments.map_alt", shown=len(points)),
                    words("segments.column_segment"),
                )
            )
        unassigned = own.filter("is_unassigned")
        panels.append(
            each
            | {
                "rows": own.to_dicts(),
                "cards": cards,
                "map": chart,
                "not_listed": each["segments"] - len(own) + len(unassigned),
                "unassigned_share": each["unassigned_users"] / each["users"],
            }
        )
    return {"panels": panels, "map_users": users_with_position, "map_shown": len(points)}


def _only(frame: pl.DataFrame, **wanted: str) -> pl.DataFrame:
    """Return the rows with some values; a frame without rows may be without columns too."""
    return frame.filter(**wanted) if len(frame) else frame


def _by_segment(frame: pl.DataFrame) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["segment_id"], []).append(row)
    return found


def changes(report: Report) -> dict:
    """For each segmentation who moved where between walls, and how shares went."""
    report.need_segments()
    report.need("segment_migrations", "segment_drift")
    words = report.words
    if queries.walls(report.marts) < 2:
        raise NothingToShowError(words("changes.one_wall"))
    names = [each["segmentation"] for each in report.segmentations]
    flows = queries.flows(report.marts, names)
    carded = report.segments.filter((pl.col("place") <= queries.CARDS) & ~pl.col("is_unassigned"))
    shares = queries.shares(report.marts, carded["segment_id"].to_list())
    events = queries.lineage(report.marts, names)
    panels = []
    for each in report.segmentations:
        name = each["segmentation"]
        own = report.of(name)
        moved = _only(flows, segmentation=name)
        panel = each | {
            "shares": _share_charts(report, each["key"], own, shares),
            "events": [
                row | {"name": _name(own, row["segment_id"])}
                for row in _only(events, segmentation=name).iter_rows(named=True)
            ],
        }
        if not moved.is_empty():
            panel |= _flows(report, each["key"], own, moved)
        panels.append(panel)
    return {"panels": panels}


def _name(own: pl.DataFrame, segment_id: str) -> str:
    names = dict(own.select("segment_id", "name").iter_rows())
    return names.get(segment_id, segment_id)


def _flows(report: Report, key: str, own: pl.DataFrame, moved: pl.DataFrame) -> dict:
    words = report.words
    terms = {
        "new": words("changes.flow_new"),
        "gone": words("changes.flow_gone"),
        "from": words("changes.column_from"),
        "to": words("changes.column_to"),
        "users": words("segments.column_users"),
        "segment": words("segments.column_segment"),
        "wall": words("words.wall"),
    }
    first, last = moved["from_as_of"].min(), moved["to_as_of"].max()
    walls = moved["to_as_of"].n_unique() + 1
    chart = flow.flow_chart(
        f"flow-{key}", moved, own, words("changes.flow_alt", walls=walls, first=first, last=last), terms
    )
    newest = moved.filter(pl.col("to_as_of") == last)
    there_at_both = newest.filter(
        (pl.col("from_segment_id") != "(new)") & (pl.col("to_segment_id") != "(gone)")
    )
    stayed = there_at_both.filter(pl.col("from_segment_id") == pl.col("to_segment_id"))["users"].sum()
    return {
        "flow": report.draw(chart),
        "stayed": stayed / (there_at_both["users"].sum() or 1),
        "step_first": newest["from_as_of"].max(),
        "step_last": last,
        "matrix": _matrix(own, newest, terms),
    }


def _matrix(own: pl.DataFrame, newest: pl.DataFrame, terms: dict[str, str]) -> dict:
    """The newest step as a table: from the rows to the columns, in the order of the segments."""
    known = {row["segment_id"]: row for row in own.iter_rows(named=True)}

    def heading(segment: str) -> dict:
        row = known.get(segment, {})
        special = {"(new)": terms["new"], "(gone)": terms["gone"]}
        return {
            "name": special.get(segment) or row.get("name") or segment,
            "number": row.get("number") or 0,
            "colour": row.get("colour", 0),
            "order": row.get("place", 900 if segment not in special else 901),
        }

    origins = sorted(
        newest["from_segment_id"].unique(), key=lambda segment: (heading(segment)["order"], segment)
    )
    targets = sorted(
        newest["to_segment_id"].unique(), key=lambda segment: (heading(segment)["order"], segment)
    )
    cells = {(row["from_segment_id"], row["to_segment_id"]): row for row in newest.iter_rows(named=True)}
    return {
        "targets": [heading(target) for target in targets],
        "rows": [
            heading(origin)
            | {
                "users": sum(cells.get((origin, target), {}).get("users", 0) for target in targets),
                "cells": [
                    {"share": cells.get((origin, target), {}).get("share_of_from"), "stays": origin == target}
                    for target in targets
                ],
            }
            for origin in origins
        ],
    }


def _share_charts(report: Report, key: str, own: pl.DataFrame, shares: pl.DataFrame) -> list[dict]:
    if shares.is_empty():
        return []
    own_shares = shares.join(own.select("segment_id"), on="segment_id", how="semi")
    if own_shares["as_of"].n_unique() < 2:
        return []
    largest = own_shares["share"].max()
    found = []
    for row in own.iter_rows(named=True):
        rows = own_shares.filter(pl.col("segment_id") == row["segment_id"])
        if rows.is_empty():
            continue
        first, last = rows["share"][0], rows["share"][-1]
        description = report.words("changes.share_alt", name=row["name"], first=first, last=last)
        chart = charts.share_chart(f"share-{key}-{row['place']}", rows, row["colour"], largest, description)
        found.append(
            row
            | {
                "chart": report.draw(chart),
                "first": first,
                "last": last,
                "first_wall": rows["as_of"][0],
                "last_wall": rows["as_of"][-1],
                "walls": len(rows),
            }
        )
    return found


def recommendations(report: Report) -> dict:
    """How personal lists are, where they come from, and those of a few users beside their interests."""
    report.need("user_recommendations")
    levels = queries.list_overview(report.marts)
    if levels.is_empty():
        raise NothingToShowError(report.words("recommendations.no_users"))
    sources = queries.list_sources(report.marts)
    return {
        "levels": _by_list(levels),
        "sources": _by_list(sources),
        "examples": _examples(report),
        "rows": queries.LIST_ROWS,
    }


def _by_list(frame: pl.DataFrame) -> list[dict]:
    return [
        {"list": name, "rows": _only(frame, list=name).to_dicts()}
        for name in frame["list"].unique(maintain_order=True)
    ]


def _examples(report: Report) -> list[dict]:
    default = report.segmentations[0]["segmentation"] if report.segmentations else ""
    own = report.of(default) if report.segmentations else report.segments
    users = queries.example_users(report.marts, own)
    if users.is_empty():
        return []
    keys = users["user_key"].to_list()
    interests = queries.interests(report.marts, keys)
    rows = queries.lists(report.marts, keys)
    known = {row["segment_id"]: row for row in own.iter_rows(named=True)}
    examples = []
    for user in users.iter_rows(named=True):
        key = user["user_key"]
        own_interests = _only(interests, user_key=key)
        examples.append(
            user
            | {
                "segment": known.get(user["segment_id"]),
                "interests": {
                    horizon: own_interests.filter(pl.col("horizon") == horizon).to_dicts()
                    if len(own_interests)
                    else []
                    for horizon in ("long", "short")
                },
                "lists": {
                    name: rows.filter((pl.col("user_key") == key) & (pl.col("list") == name)).to_dicts()
                    for name in ("for_you", "discover")
                },
            }
        )
    return examples


def quality(report: Report) -> dict:
    """What the backtest says about lists and about segments, and what segments foretell."""
    words = report.words
    report.need("recommendation_quality")
    found = queries.quality(report.marts)
    prediction = _prediction(report)
    if found.is_empty():
        return {"lists": [], "uplift": [], "prediction": prediction}
    groups = queries.quality_by_group(report.marts)
    lists = []
    for name in found["list"].unique(maintain_order=True):
        rows = _only(found, list=name)
        description = words("quality.strategies_alt", count=len(rows), list=words.term("lists", name))
        chart = charts.interval_chart(
            f"quality-{name}",
            pl.DataFrame(
                {
                    "label": words.strategy(row["strategy"]),
                    "value": row["ndcg"],
                    "low": row["ndcg_low"],
                    "high": row["ndcg_high"],
                    "tone": "accent" if row["strategy"] == "blend" else "muted",
                }
                for row in rows.iter_rows(named=True)
            ),
            words("quality.axis_ndcg", k=queries.QUALITY_LENGTH),
            description,
        )
        blend = next((row for row in rows.iter_rows(named=True) if row["strategy"] == "blend"), None)
        lists.append(
            {
                "list": name,
                "rows": rows.to_dicts(),
                "users": rows["users"].max(),
                "chart": report.draw(chart),
                "blend": blend,
                "verdict": _verdict(blend),
            }
        )
    return {
        "k": queries.QUALITY_LENGTH,
        "lists": lists,
        "as_of": found["as_of"].max(),
        "until": found["until"].max(),
        "groups": groups.to_dicts(),
        "uplift": _uplift(report),
        "served": queries.served(report.marts).to_dicts(),
        "prediction": prediction,
    }


def _verdict(blend: dict | None) -> str | None:
    if blend is None or blend["ndcg_over_popular_low"] is None:
        return None
    if blend["ndcg_over_popular_low"] > 0:
        return "better"
    return "worse" if blend["ndcg_over_popular_high"] < 0 else "same"


def _uplift(report: Report) -> list[dict]:
    found = queries.uplift(report.marts)
    if found.is_empty():
        return []
    words = report.words
    tones = {"gain": "good", "worse": "bad"}
    lists = []
    for name in found["list"].unique(maintain_order=True):
        rows = _only(found, list=name)
        compared = rows.filter(pl.col("ndcg_over_none").is_not_null())
        chart = None
        if not compared.is_empty():
            chart = report.draw(
                charts.interval_chart(
                    f"uplift-{name}",
                    pl.DataFrame(
                        {
                            "label": words.term("segmentations", row["segmentation"]),
                            "value": row["ndcg_over_none"],
                            "low": row["ndcg_over_none_low"],
                            "high": row["ndcg_over_none_high"],
                            "tone": tones.get(row["verdict"], "muted"),
                        }
                        for row in compared.iter_rows(named=True)
                    ),
                    words("quality.axis_uplift"),
                    words("quality.uplift_alt", list=words.term("lists", name)),
                    marks_zero=True,
                )
            )
        lists.append({"list": name, "rows": rows.to_dicts(), "chart": chart, "compared": len(compared)})
    return lists


def _prediction(report: Report) -> dict:
    """A row per segmentation, a column per outcome: what segments explain of what users did next."""
    found = queries.prediction(report.marts)
    if found.is_empty():
        return {}
    outcomes = found["outcome"].unique(maintain_order=True).to_list()
    cells = {
        (row["segmentation"], row["outcome"]): row["epsilon_squared"] for row in found.iter_rows(named=True)
    }
    best = {
        outcome: max(
            (cells[key] for key in cells if key[1] == outcome and cells[key] is not None), default=None
        )
        for outcome in outcomes
    }
    return {
        "outcomes": outcomes,
        "rows": [
            {
                "segmentation": name,
                "cells": [
                    {
                        "value": cells.get((name, outcome)),
                        "size": max(cells.get((name, outcome)) or 0, 0) / (best[outcome] or 1),
                        "is_best": cells.get((name, outcome)) is not None
                        and cells[name, outcome] == best[outcome],
                    }
                    for outcome in outcomes
                ],
            }
            for name in found["segmentation"].unique(maintain_order=True)
        ],
        "first": found["predicted_from"].max(),
        "last": found["predicted_until"].max(),
    }


def data(report: Report) -> dict:
    """Where the raw rows went, and whether they add up."""
    report.need("data_quality")
    rows = queries.data_quality(report.marts).to_dicts()
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["line"]] = totals.get(row["line"], 0) + (row["row_count"] or 0)
    return {
        "rows": rows,
        "totals": totals,
        "failed": [row["check_name"] for row in rows if not row["is_ok"]],
    }


def models(report: Report) -> dict:
    """How segments were chosen, how trainings went, what fits cost, and what was decided."""
    marts, words = report.marts, report.words
    default = report.segmentations[0]["segmentation"] if report.segmentations else ""
    tried = queries.candidates(marts, default)
    runs = queries.model_runs(marts)
    return {
        "segmentation": default,
        "candidates": tried.to_dicts(),
        "chosen": next((row["clusters"] for row in tried.iter_rows(named=True) if row["is_champion"]), None),
        "training": _training(report),
        "runs": runs.to_dicts(),
        "seconds": runs["seconds"].sum() if len(runs) else 0,
        "longest": (runs["seconds"].max() or 1) if len(runs) else 1,
        "decisions": queries.decisions(marts).to_dicts(),
        "has_decisions": marts.has("learning_decisions"),
        "title_segments": words.number(report.segmentations[0]["segments"]) if report.segmentations else "",
    }


def _training(report: Report) -> list[dict]:
    log = queries.training(report.marts)
    if log.is_empty():
        return []
    words = report.words
    trained = []
    runs = log.select("model", "run_id").unique(maintain_order=True)
    for number, (model, run) in enumerate(runs.iter_rows()):
        epochs = log.filter((pl.col("model") == model) & (pl.col("run_id") == run))
        drawn = []
        for measure in ("train_loss", "validation_loss"):
            losses = epochs.select("epoch", loss=measure).drop_nulls().filter(pl.col("loss").is_finite())
            if losses.is_empty():
                continue
            best = None
            if measure == "validation_loss":
                best = losses.sort("loss", "epoch")["epoch"][0]
            title = words(f"models.{measure}")
            description = words(
                "models.training_alt",
                model=words.term("models", model),
                measure=title,
                first=losses["loss"][0],
                last=losses["loss"][-1],
                epochs=losses["epoch"][-1],
            )
            chart = charts.loss_chart(
                f"training-{number}-{measure.replace('_', '-')}",
                losses,
                words("models.axis_epoch"),
                description,
                best,
            )
            drawn.append({"title": title, "chart": report.draw(chart)})
        if drawn:
            trained.append({"model": model, "charts": drawn})
    return trained


PARTS: Sequence[tuple[str, Callable[[Report], dict]]] = (
    ("segments", segments),
    ("changes", changes),
    ("recommendations", recommendations),
    ("quality", quality),
    ("data", data),
    ("models", models),
)
