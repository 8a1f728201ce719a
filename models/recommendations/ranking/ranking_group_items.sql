{{ config(materialized=stored_if_learning()) }}

-- What is popular where a user acts, and among those of the same segment.
with days as (
    select * from {{ ref('ranking_days') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

users as (
    select * from {{ ref('ranking_users') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
    where is_active
),

contexts as (
    select
        walls.wall_number,
        'context' as group_kind,
        days.context as group_id,
        days.item_number,
        count(distinct days.user_number) as users,
        sum({{ decay('(days.age_days - walls.days_before)', var('popularity_half_life_days')) }}) as popularity
    from days
    cross join walls
    where days.age_days > walls.days_before and days.context is not null
    group by walls.wall_number, days.context, days.item_number
),

segment_members as (
    select
        users.wall_number,
        users.user_number,
        users.segment_id,
        walls.days_before
    from users
    inner join walls
        on users.wall_number = walls.wall_number
    where users.segment_id is not null
),

segments as (
    select
        segment_members.wall_number,
        'segment' as group_kind,
        segment_members.segment_id as group_id,
        days.item_number,
        count(distinct days.user_number) as users,
        sum({{ decay('(days.age_days - segment_members.days_before)', var('popularity_half_life_days')) }})
            as popularity
    from days
    inner join segment_members
        on days.user_number = segment_members.user_number
    where days.age_days > segment_members.days_before
    group by segment_members.wall_number, segment_members.segment_id, days.item_number
),

combined as (
    select * from contexts
    union all
    select * from segments
),

final as (
    select
        combined.wall_number,
        combined.group_kind,
        combined.group_id,
        combined.item_number,
        combined.users,
        round(combined.popularity / max(combined.popularity) over (
            partition by combined.wall_number, combined.group_kind, combined.group_id
        ), 6) as strength,
        cast(row_number() over (
            partition by combined.wall_number, combined.group_kind, combined.group_id
            order by round(combined.popularity, 5) desc, combined.item_number asc
        ) as integer) as rank
    from combined
    inner join item_stats
        on combined.item_number = item_stats.item_number
    -- What one user takes says nothing about a group.
    where combined.users >= 2
    qualify rank <= {{ var('max_group_items') }}
)

select * from final
