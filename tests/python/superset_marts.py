"""A serving file of a few hundred made-up rows: all marts that the dashboards of bi/superset read."""

from pathlib import Path

import duckdb

SEGMENTS = {"taste": ["Cats", "Bread", "Wine"], "rfm": ["Loyal", "Lost"]}

# What the tables hold, as queries; columns that they leave out are null.
ROWS = {
    "build_info": """
        select 'run-' || {users} as run_id, timestamp '2026-01-29' as as_of, 'whole' as state,
            timestamp '2026-02-01 08:00' + to_minutes({users}) as built_at, 'en' as language""",
    "user_segments": """
        select segmentation, 'user-' || number as user_key, segment_id, segment_name, false as is_unassigned,
            1 / (number + 2) as margin, 'Because.' as reason, timestamp '2026-01-01' as since,
            null as previous_segment_id
        from members""",
    "segments": """
        select segmentation, segment_id, segment_name as name, count(*) as users,
            count(*) / {users} as share, segment_name || ' (2 x)' as distinguishing_categories,
            'amount +0.5' as distinguishing_features, 'They favour ' || segment_name || '.' as description,
            false as is_unassigned, date '2026-01-01' as born_on, timestamp '2026-01-29' as as_of
        from members group by segmentation, segment_id, segment_name""",
    "segment_history": """
        select as_of, segmentation, 'user-' || number as user_key, segment_id, segment_name,
            false as is_unassigned
        from members cross join unnest([timestamp '2026-01-01', timestamp '2026-01-29']) as walls(as_of)""",
    "segment_migrations": """
        select segmentation, timestamp '2026-01-01' as from_as_of, timestamp '2026-01-29' as to_as_of,
            segment_id as from_segment_id, segment_name as from_segment_name,
            other_id as to_segment_id, other_name as to_segment_name, count(*) as users,
            0.5 as share_of_from, true as is_newest
        from (
            select *, if(number % 5 = 0, first(segment_id) over everyone, segment_id) as other_id,
                if(number % 5 = 0, first(segment_name) over everyone, segment_name) as other_name
            from members
            window everyone as (partition by segmentation order by number)
        )
        group by all""",
    "segment_daily": """
        select segmentation, segment_id, segment_name, day_on, count(*) as users,
            count(*) // 2 as active_users, count(*) as events, count(*) as orders, count(*) * 2.5 as spend,
            date_diff('day', day_on, date '2026-01-29') as days_ago, true as is_complete
        from members cross join days group by all""",
    "segment_category_weekly": """
        select segmentation, segment_id, segment_name, category, 1 as category_rank,
            cast(date_trunc('week', day_on) as date) as week_on, count(distinct number) as active_users,
            count(*) as events, count(*) as orders, count(*) * 1.25 as spend,
            date_diff('day', week_on, date '2026-01-29') as days_ago
        from members cross join days cross join unnest(['BREAD', 'WINE']) as kinds(category) group by all""",
    "segment_profiles": """
        select segmentation, segment_id, segment_name, feature, count(*) as users, 2.5 as mean,
            2 as median, 1 as spread, 2 as overall_mean, 0.5 / length(feature) as standardised_difference,
            list_position(['amount', 'hour_00_03_share', 'amount_28_days'], feature) as difference_rank
        from members cross join unnest(['amount', 'hour_00_03_share', 'amount_28_days']) as features(feature)
        group by all""",
    "segment_top_items": """
        select segmentation, segment_id, segment_name, rank, 'item-' || rank as item_id,
            'Item ' || rank as title, 'BREAD' as category, count(*) as users, 0.5 as share, 1.5 as lift
        from members cross join range(1, 6) as ranks(rank) group by all""",
    "segment_top_categories": """
        select segmentation, segment_id, segment_name, rank, 'CATEGORY ' || rank as category,
            count(*) as users, 0.5 as user_share, 0.2 as share, 0.1 as overall_share, 2 as lift
        from members cross join range(1, 6) as ranks(rank) group by all""",
    "user_recommendations": """
        select 'user-' || number as user_key, list, rank, 'item-' || rank as item_id,
            'Item ' || rank as title,
            1 / rank as score, if(rank = 1, 'buy_again', 'popular') as source, 'Because.' as reason,
            segment_id, segment_name, if(rank = 1, 0, 3) as fallback_level, rank = 1 as is_repeat
        from members
        cross join range(1, 4) as ranks(rank)
        cross join unnest(['for_you', 'discover']) as lists(list)
        where segmentation = 'taste'""",
    "recommendation_overview": """
        select list, segment_id, segment_name, source, fallback_level, count(*) as rows, 0.5 as share,
            count(*) as first_rows, 0 as repeat_rows, count(distinct user_key) as users
        from marts.user_recommendations group by all""",
    "recommendation_quality": """
        select timestamp '2026-01-01' as as_of, timestamp '2026-01-29' as until, strategy, list,
            'supported' as scope, 20 as k, 'all' as group_kind, 'all' as group_value, {users} as users,
            0.3 as ndcg, 0.25 as ndcg_low, 0.35 as ndcg_high, 0.1 as ndcg_over_popular,
            0.05 as ndcg_over_popular_low, 0.15 as ndcg_over_popular_high, 0.8 as hit_rate,
            0.4 as coverage, true as is_newest
        from unnest(['blend', 'popular']) as strategies(strategy)
        cross join unnest(['for_you', 'discover']) as lists(list)""",
}


def write_serving(path: Path, models: dict[str, dict], users: int = 120) -> Path:
    """Write a build with so many users.

    Args:
        path: the file; what is there goes.
        models: the models of the manifest by name, for columns, types and descriptions.
        users: how many there are in every segmentation.
    """
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        for statement in _statements(models, users):
            connection.execute(statement).fetchall()
    return path


def _statements(models: dict[str, dict], users: int) -> list[str]:
    segments = [
        f"('{segmentation}', '{segmentation}-{place}', '{name}', {place}, {len(names)})"
        for segmentation, names in SEGMENTS.items()
        for place, name in enumerate(names)
    ]
    # The first segment of each is the largest.
    statements = [
        "create schema marts",
        f"""create temp table members as
            select segmentation, segment_id, segment_name, number
            from range({users}) as people(number)
            inner join (values {", ".join(segments)})
                as segments(segmentation, segment_id, segment_name, place, segments)
                on place = greatest(number % (segments.segments + 1) - 1, 0)""",
        """create temp table days as
            select cast(range as date) as day_on
            from range(timestamp '2025-12-01', timestamp '2026-01-29', interval 1 day)""",
    ]
    for table, rows in ROWS.items():
        model = models[table]
        columns = model["columns"].values()
        typed = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in columns)
        statements += [
            f"create table marts.{table} ({typed})",
            f"insert into marts.{table} by name {rows.format(users=users)}",
            f"comment on table marts.{table} is {_literal(model['description'])}",
        ]
        statements += [
            f'comment on column marts.{table}."{column["name"]}" is {_literal(column["description"])}'
            for column in columns
        ]
    return statements


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
