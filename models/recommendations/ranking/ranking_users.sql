{{ config(materialized=stored_if_learning()) }}

with pairs as (
    select * from {{ ref('ranking_pairs') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

segment_dates as (
    select * from {{ ref('segment_dates') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

-- The segment as it was known at the wall: what followed it must not speak from there.
dated as (
    select
        walls.wall_number,
        segment_dates.user_key,
        max_by(segment_dates.segment_id, segment_dates.as_of) as segment_id,
        max_by(segment_dates.is_unassigned, segment_dates.as_of) as is_unassigned
    from segment_dates
    cross join walls
    where segment_dates.as_of <= walls.wall_at
    group by walls.wall_number, segment_dates.user_key
),

-- The first build kept no segments of the earlier wall.
past as (
    select
        1 as wall_number,
        user_key,
        segment_id
    from {{ ref('past_placed_users') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

contexts as (
    select * from {{ ref('ranking_user_contexts') }}
),

active as (
    select
        wall_number,
        user_number,
        count(*) as items,
        count(*) filter (where first_age_days < {{ var('prediction_days') }}) as new_items,
        round(sum(decayed_30), 4) as activity,
        min(last_age_days) as since_days
    from pairs
    group by wall_number, user_number
),

final as (
    select
        walls.wall_number,
        users.user_number,
        users.has_consent,
        case
            when dated.user_key is null then past.segment_id
            when not dated.is_unassigned then dated.segment_id
        end as segment_id,
        contexts.context,
        coalesce(active.items, 0) as items,
        coalesce(active.new_items, 0) as new_items,
        coalesce(active.activity, 0) as activity,
        active.since_days
    from users
    cross join walls
    left join dated
        on
            users.user_key = dated.user_key
            and walls.wall_number = dated.wall_number
    left join past
        on
            users.user_key = past.user_key
            and walls.wall_number = past.wall_number
    left join contexts
        on
            users.user_number = contexts.user_number
            and walls.wall_number = contexts.wall_number
    left join active
        on
            users.user_number = active.user_number
            and walls.wall_number = active.wall_number
    -- Of the earlier wall only who had a history, as far as the sample goes.
    where walls.wall_number = 0 or active.items > 0
)

select * from final
