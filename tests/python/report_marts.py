"""Hand-made published files for tests of the report: what the contracts of marts state, with a few rows."""

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import yaml
from conftest import PROJECT

WALLS = [datetime(2026, 1, 1) - timedelta(days=28 * back) for back in (2, 1, 0)]
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"{{ 7 * 7 }}"
NAMES = {"taste-01": "早餐与鲜奶", "taste-02": "Pets & Litter", "taste-03": f"Tools {HOSTILE}"}


def contracts() -> dict[str, dict[str, str]]:
    """Return the columns of each mart with their types, as its contract states them."""
    return {
        model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
        for path in sorted((PROJECT / "models" / "marts").glob("*.yml"))
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }


def write_marts(path: Path, rows: dict[str, list[dict]] | None = None, without: Iterable[str] = ()) -> Path:
    """Write a published file with every mart, empty but for the given rows.

    A column that a row leaves out is null.
    """
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute("create schema marts").fetchall()
        for mart, columns in contracts().items():
            if mart in without:
                continue
            typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"create table marts.{mart} ({typed})").fetchall()
            given = pl.DataFrame((rows or {}).get(mart, []), infer_schema_length=None)
            if len(given):
                assert set(given.columns) <= set(columns), (
                    f"{mart} has no {set(given.columns) - set(columns)}"
                )
                connection.execute(f"insert into marts.{mart} by name select * from given").fetchall()
    return path


def change(path: Path, *statements: str) -> Path:
    """Run statements in a published file."""
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
    return path


def some_rows(walls: int = 3, judged: bool = True) -> dict[str, list[dict]]:
    """Return rows for every mart that the report reads: 60 users, two segmentations, so many walls."""
    users = [f"{number:032x}" for number in range(60)]
    segment_of = {
        user: f"taste-0{1 + (number % 6 >= 3) + (number % 6 == 5)}" for number, user in enumerate(users)
    }
    sizes = {segment: list(segment_of.values()).count(segment) for segment in sorted(NAMES)}
    dates = WALLS[-walls:]
    rows: dict[str, list[dict]] = {
        "data_quality": [
            {"check_name": "raw_events", "line": "raw", "row_count": 1200, "share": 1.0, "is_ok": True},
            {
                "check_name": "clean_events",
                "line": "clean",
                "row_count": 1190,
                "share": 0.9917,
                "is_ok": True,
            },
            {
                "check_name": "rejected_bot",
                "line": "rejected",
                "reason": "bot",
                "row_count": 10,
                "share": 0.0083,
                "is_ok": True,
            },
            {
                "check_name": "raw_is_clean_plus_rejected",
                "line": "balance",
                "row_count": 0,
                "share": 0.0,
                "is_ok": True,
            },
        ],
        "segments": [
            {
                "segmentation": "taste",
                "segment_id": segment,
                "name": name,
                "name_source": "terms",
                "description": f"{sizes[segment]} users. They favour Milk & {name}.",
                "users": sizes[segment],
                "share": sizes[segment] / 60,
                "is_unassigned": False,
                "centre_user_key": [user for user in users if segment_of[user] == segment][1],
            }
            for segment, name in NAMES.items()
        ]
        + [
            {
                "segmentation": "rfm",
                "segment_id": f"rfm-{name.lower()}",
                "name": name,
                "name_source": "rule",
                "description": name,
                "users": number,
                "share": number / 60,
                "is_unassigned": name == "Unassigned",
            }
            for name, number in (("Loyal", 40), ("Lost", 15), ("Unassigned", 5))
        ],
        "user_segments": [
            {
                "segmentation": "taste",
                "user_key": user,
                "segment_id": segment_of[user],
                "segment_name": NAMES[segment_of[user]],
            }
            for user in users
        ]
        + [
            {
                "segmentation": "rfm",
                "user_key": user,
                "segment_id": "rfm-loyal" if number < 40 else "rfm-lost" if number < 55 else "rfm-unassigned",
            }
            for number, user in enumerate(users)
        ],
        "user_map": [
            {"user_key": user, "x": (number % 8) / 7, "y": (number // 8) / 7, "segment_id": segment_of[user]}
            for number, user in enumerate(users)
        ],
        "segment_map": [
            {
                "segmentation": "taste",
                "segment_id": segment,
                "name": name,
                "x": 0.5,
                "y": 0.5,
                "users": sizes[segment],
                "spread": 0.2,
            }
            for segment, name in NAMES.items()
        ],
        "segment_profiles": [
            {
                "segmentation": "taste",
                "segment_id": segment,
                "feature": feature,
                "users": sizes[segment],
                "mean": mean,
                "overall_mean": overall,
                "standardised_difference": difference,
                "difference_rank": rank,
            }
            for segment in NAMES
            for rank, (feature, mean, overall, difference) in enumerate(
                [
                    ("events_28_days", 12.5, 8.25, 0.9),
                    ("events_90_days", 30.0, 25.0, 0.7),
                    ("monday_share", 0.2, 0.14, -0.5),
                    ("hour_08_11_share", 0.3, 0.2, 0.4),
                    ("price_level", -0.1, 0.0, -0.3),
                    ("x_own_feature", 1.0, 2.0, 0.2),
                ],
                start=1,
            )
        ],
        "segment_top_categories": [
            {
                "segmentation": "taste",
                "segment_id": segment,
                "rank": 1,
                "category": "MLK",
                "category_label": f"Milk {HOSTILE}",
                "users": 9,
                "user_share": 0.3,
                "share": 0.2,
                "overall_share": 0.1,
                "lift": 2.0,
            }
            for segment in NAMES
        ],
        "segment_top_items": [
            {
                "segmentation": "taste",
                "segment_id": segment,
                "rank": rank,
                "item_id": f"i{rank}",
                "title": title,
                "users": 9,
                "share": 0.3,
                "lift": 3.25,
            }
            for segment in NAMES
            for rank, title in enumerate(["鲜牛奶 1 升", "鲜牛奶 1 升", HOSTILE], start=1)
        ],
        "segment_rules_explained": [
            {
                "segmentation": "taste",
                "segment_id": "taste-01",
                "rule_rank": 1,
                "rule": f"any Milk {HOSTILE}",
                "precision": 0.8,
                "recall": 0.7,
                "lift": 2.5,
                "fidelity": 0.8,
            }
        ],
        "user_profiles": [
            {
                "user_key": user,
                "events": 5 + number,
                "active_days": 2 + number,
                "amount": 10.0 * number,
                "last_event_at": datetime(2025, 12, 31),
                "segment_id": segment_of[user],
                "is_new": False,
                "is_at_risk": number % 10 == 4,
                "has_consent": number != 54,
            }
            for number, user in enumerate(users)
        ],
        "user_interests": [
            {
                "user_key": user,
                "horizon": horizon,
                "interest_rank": 1,
                "item_id": "i1",
                "title": f"Interest {HOSTILE}",
                "weight": 1.0,
                "items": 3,
            }
            for user in users
            for horizon in ("long", "short")
        ],
        "user_recommendations": [
            {
                "user_key": user,
                "list": name,
                "rank": rank,
                "item_id": f"i{rank}",
                "title": f"Item {rank} {HOSTILE}",
                "score": 1.0,
                "source": "buy_again" if name == "for_you" else "collaborative",
                "reason": f"In this user's history {HOSTILE}",
                "segment_id": segment_of[user],
                "fallback_level": 0 if rank < 9 else 3,
                "is_repeat": False,
            }
            for user in users
            for name in ("for_you", "discover")
            for rank in range(1, 13)
        ],
        "segment_drift": [
            {"segmentation": "taste", "as_of": wall, "segment_id": segment, "users": size, "share": size / 60}
            for wall in dates
            for segment, size in sizes.items()
        ],
        "segment_migrations": [
            {
                "segmentation": "taste",
                "from_as_of": first,
                "to_as_of": last,
                "from_segment_id": origin,
                "to_segment_id": target,
                "users": number,
                "share_of_from": number / (sizes.get(origin) or number),
            }
            for first, last in itertools.pairwise(dates)
            for origin, target, number in (
                ("taste-01", "taste-01", sizes["taste-01"] - 4),
                ("taste-01", "taste-02", 4),
                ("taste-02", "taste-02", sizes["taste-02"]),
                ("taste-03", "taste-03", sizes["taste-03"] - 1),
                ("taste-03", "(gone)", 1),
                ("(new)", "taste-09", 2),
            )
        ],
        "segment_lineage": [
            {
                "segmentation": "taste",
                "as_of": dates[-1],
                "segment_id": "taste-09",
                "event": "born",
                "last_as_of": wall,
                "users": 2,
            }
            for wall in dates[-2:-1]
        ],
        "segmentation_candidates": [
            {
                "segmentation": "taste",
                "candidate": f"k={number}",
                "algorithm": "kmeans",
                "clusters": number,
                "silhouette": 0.1,
                "stability": 0.7,
                "predictive": 0.01,
                "mean_rank": number / 2,
                "is_champion": number == 3,
                "reason": "Best rank.",
            }
            for number in (3, 4)
        ],
        "training_log": [
            {
                "run_id": "vae-1",
                "model": "user_vae_embeddings",
                "epoch": epoch,
                "train_loss": 100 / epoch,
                "validation_loss": 8 + abs(epoch - 6) / 10,
            }
            for epoch in range(1, 9)
        ],
        "model_runs": [
            {
                "run_id": f"run-{number}",
                "model": model,
                "algorithm": "an algorithm",
                "rows": 60,
                "seconds": 1.5 * number,
                "peak_memory_mb": 512.0,
            }
            for number, model in enumerate(["user_vae_embeddings", "user_clusters"], start=1)
        ],
        "learning_decisions": [
            {
                "as_of": wall,
                "decision": "train" if wall == dates[0] else "keep",
                "reason": "Why not.",
                "users": 60,
            }
            for wall in dates
        ],
        "strategy_choice": [
            {
                "list": name,
                "segment_id": "everyone",
                "strategy": "blend",
                "since": dates[0],
                "verdict": "Best of all.",
            }
            for name in ("for_you", "discover")
        ],
    }
    if judged:
        rows |= _judged()
    return rows


def _judged() -> dict[str, list[dict]]:
    """Return the rows of a backtest: the blend beats what is popular in one list and not in the other."""
    judged = {"as_of": WALLS[1], "until": WALLS[2], "is_newest": True}
    quality = [
        judged
        | {
            "strategy": strategy,
            "list": name,
            "scope": "supported",
            "k": 20,
            "group_kind": "all",
            "group_value": "all",
            "users": 50,
            "ndcg": ndcg,
            "ndcg_low": ndcg - 0.02,
            "ndcg_high": ndcg + 0.02,
            "recall": 0.2,
            "hit_rate": hit_rate,
            "coverage": 0.4,
            "ndcg_over_popular": None if strategy == "popular" else over,
            "ndcg_over_popular_low": None if strategy == "popular" else over - 0.02,
            "ndcg_over_popular_high": None if strategy == "popular" else over + 0.02,
        }
        for name, over in (("for_you", 0.1), ("discover", 0.01))
        for strategy, ndcg, hit_rate in (
            ("blend", 0.3, 0.75),
            ("buy_again", 0.25, 0.7),
            ("popular", 0.2, 0.5),
        )
    ]
    groups = [
        row | {"group_kind": "history", "group_value": "20+"} for row in quality if row["strategy"] == "blend"
    ]
    uplift = [
        judged
        | {
            "list": name,
            "segmentation": segmentation,
            "users": 50,
            "ndcg": 0.3,
            "recall": 0.2,
            "ndcg_over_none": difference,
            "ndcg_over_none_low": None if difference is None else difference - 0.001,
            "ndcg_over_none_high": None if difference is None else difference + 0.001,
            "verdict": verdict,
            "explanation": "In words.",
        }
        for name in ("for_you", "discover")
        for segmentation, difference, verdict in (
            ("none", None, "baseline"),
            ("taste", 0.002, "gain"),
            ("rfm", 0.0, "no gain"),
        )
    ]
    prediction = [
        {
            "segmentation": segmentation,
            "outcome": outcome,
            "predicted_from": WALLS[1],
            "predicted_until": WALLS[2],
            "users": 50,
            "segments": 3,
            "epsilon_squared": explained,
            "verdict": "In words.",
        }
        for segmentation, outcome, explained in (
            ("taste", "category_mix", 0.02),
            ("rfm", "category_mix", 0.01),
            ("taste", "log_spend", None),
            ("rfm", "log_spend", 0.4),
        )
    ]
    return {
        "recommendation_quality": quality + groups,
        "segmentation_uplift": uplift,
        "segmentation_prediction": prediction,
    }


def large_marts(path: Path) -> Path:
    """Write as many rows of everything as would fill any page, with names of thousands of letters."""
    text = "repeat('名字 long name ', 400) || range"
    of_each_segment = "segmentation, segment_id"
    days = "timestamp '2020-01-01' + to_days(range::integer)"
    judged = "timestamp '2020-01-01' as as_of, timestamp '2020-02-01' as until, true as is_newest"
    selected = {
        "segments": f"""
            's' || (range // 80) as segmentation, 's' || (range // 80) || '-' || (range % 80) as segment_id,
            {text} as name, {text} as description, 100 + range % 80 as users, 0.01 as share,
            false as is_unassigned, md5(range::varchar) as centre_user_key from range(1600)""",
        "user_map": """
            md5(range::varchar) as user_key, range % 331 / 331 as x, range % 997 / 997 as y,
            's0-' || range % 80 as segment_id from range(200000)""",
        "user_segments": """
            md5((range % 200000)::varchar) as user_key, 's' || (range // 200000) as segmentation,
            's' || (range // 200000) || '-' || range % 80 as segment_id from range(1600000)""",
        "segment_map": f"{of_each_segment}, name, 0.5 as x, 0.5 as y from marts.segments",
        "segment_profiles": f"""
            {of_each_segment}, 'feature_' || range as feature, 1 as mean, 2 as overall_mean,
            0.5 as standardised_difference, range as difference_rank from marts.segments, range(40)""",
        "segment_top_categories": f"""
            {of_each_segment}, range + 1 as rank, {text} as category_label, 0.1 as share,
            0.1 as overall_share, 1 as lift from marts.segments, range(12)""",
        "segment_top_items": f"""
            {of_each_segment}, range + 1 as rank, {text} as title, 0.1 as share, 1 as lift
            from marts.segments, range(12)""",
        "segment_rules_explained": f"""
            {of_each_segment}, range + 1 as rule_rank, {text} as rule, 0.1 as precision, 0.1 as recall,
            1 as lift from marts.segments, range(5)""",
        "user_profiles": """
            md5(range::varchar) as user_key, range as events, range % 400 as active_days,
            's0-' || range % 80 as segment_id, range % 9 = 0 as is_at_risk, true as has_consent
            from range(200000)""",
        "user_recommendations": f"""
            md5((range // 40)::varchar) as user_key, if(range % 2 = 0, 'for_you', 'discover') as list,
            range % 40 // 2 + 1 as rank, {text} as title, {text} as reason,
            'source_' || range % 500 as source, range % 4 as fallback_level from range(20000)""",
        "user_interests": f"""
            md5((range // 20)::varchar) as user_key, 'long' as horizon, range % 20 + 1 as interest_rank,
            {text} as title, 0.05 as weight from range(10000)""",
        "segment_drift": f"""
            {of_each_segment}, {days} as as_of, 10 as users, 0.01 as share
            from marts.segments, range(100)""",
        "segment_migrations": """
            segmentation, segment_id as from_segment_id, segmentation || '-' || range % 80 as to_segment_id,
            timestamp '2020-01-01' + to_days((range // 80)::integer) as from_as_of,
            timestamp '2020-01-02' + to_days((range // 80)::integer) as to_as_of,
            1 as users, 0.01 as share_of_from from marts.segments, range(800)""",
        "segment_lineage": f"""
            {of_each_segment}, timestamp '2020-01-02' as as_of, 'born' as event,
            timestamp '2020-01-01' as last_as_of from marts.segments""",
        "recommendation_quality": f"""
            {judged}, if(range % 2 = 0, 'for_you', 'discover') as list, {text} as strategy,
            'supported' as scope, 20 as k, 'all' as group_kind, 'all' as group_value, 9 as users,
            0.1 as ndcg, 0.1 as ndcg_low, 0.1 as ndcg_high from range(400)""",
        "segmentation_uplift": f"""
            {judged}, 'for_you' as list, {text} as segmentation, 0.1 as ndcg, 0.1 as ndcg_over_none,
            0.1 as ndcg_over_none_low, 0.2 as ndcg_over_none_high, 'gain' as verdict,
            {text} as explanation from range(400)""",
        "segmentation_prediction": f"""
            {text} as segmentation, 'category_mix' as outcome, 0.1 as epsilon_squared,
            timestamp '2020-01-01' as predicted_from, timestamp '2020-02-01' as predicted_until
            from range(400)""",
        "data_quality": f"""
            'check_' || range as check_name, 'rejected' as line, {text} as reason, 9 as row_count,
            0.1 as share, false as is_ok from range(400)""",
        "training_log": """
            'run_' || range // 5000 as run_id, 'model_' || range // 5000 as model,
            range % 5000 + 1 as epoch, 1 / (range % 5000 + 1) as train_loss,
            2 / (range % 5000 + 1) as validation_loss from range(100000)""",
        "model_runs": f"""
            'run_' || range as run_id, {text} as model, {text} as algorithm, 1 as rows, 1 as seconds,
            1 as peak_memory_mb from range(400)""",
        "segmentation_candidates": f"""
            's0' as segmentation, {text} as candidate, range as clusters, range = 3 as is_champion,
            {text} as reason from range(400)""",
        "learning_decisions": f"""
            {days} as as_of, 'keep' as decision, {text} as reason, 9 as users from range(400)""",
    }
    return change(
        write_marts(path),
        *(f"insert into marts.{mart} by name select {query}" for mart, query in selected.items()),
    )
