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
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

-- The segment known at the wall, or the first known after it where segments have no history yet.
dated as (
    select
        walls.wall_number,
        segment_dates.user_key,
        coalesce(
            max_by(segment_dates.segment_id, segment_dates.as_of) filter (where segment_dates.as_of <= walls.wall_at),
            min_by(segment_dates.segment_id, segment_dates.as_of)
        ) as segment_id
    from segment_dates
    cross join walls
    where segment_dates.as_of <= (select max(walls.wall_at) from walls)
    group by walls.wall_number, segment_dates.user_key
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
        dated.segment_id,
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
    left join contexts
        on
            users.user_number = contexts.user_number
            and walls.wall_number = contexts.wall_number
    left join active
        on
            users.user_number = active.user_number
            and walls.wall_number = active.wall_number
    -- Of the earlier wall only who had a history and has a future, as far as the sample goes.
    where walls.wall_number = 0 or active.items > 0
)

select * from final
