-- What ranking_group_items holds of the default segmentation, for every segmentation.
with days as (
    select * from {{ ref('ranking_days') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

members as (
    select * from {{ ref('segmentation_members') }}
),

counted as (
    select
        walls.wall_number,
        members.segmentation,
        members.segment_id,
        days.item_number,
        count(distinct days.user_number) as users,
        sum({{ decay('(days.age_days - walls.days_before)', var('popularity_half_life_days')) }}) as popularity
    from days
    cross join walls
    inner join members
        on
            walls.wall_number = members.wall_number
            and days.user_number = members.user_number
    where days.age_days > walls.days_before
    group by walls.wall_number, members.segmentation, members.segment_id, days.item_number
),

final as (
    select
        wall_number,
        segmentation,
        segment_id,
        item_number,
        round(popularity / max(popularity) over (partition by wall_number, segment_id), 6) as strength
    from counted
    where users >= 2
    qualify row_number() over (
        partition by wall_number, segment_id
        order by round(popularity, 5) desc, item_number asc
    ) <= {{ var('max_group_items') }}
)

select * from final
