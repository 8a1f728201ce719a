{{ config(materialized=stored_if_learning()) }}

-- Where a user mostly acts: the store, the channel, the device.
with days as (
    select * from {{ ref('ranking_days') }}
    where context is not null
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

weighed as (
    select
        walls.wall_number,
        days.user_number,
        days.context,
        round(sum({{ decay('(days.age_days - walls.days_before)', 60) }}), 5) as weight
    from days
    cross join walls
    where days.age_days > walls.days_before
    group by walls.wall_number, days.user_number, days.context
),

final as (
    select
        wall_number,
        user_number,
        max_by(context, (weight, context)) as context
    from weighed
    group by wall_number, user_number
)

select * from final
