{{ config(materialized='view') }}

-- Who was in which segment at both walls of the ranker: the backtest builds segments at the earlier one, too.
with segment_dates as (
    select * from {{ ref('segment_dates') }}
    where not is_unassigned
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

users as (
    select * from {{ ref('user_attributes') }}
    where has_consent
),

final as (
    select
        walls.wall_number,
        segment_dates.segmentation,
        users.user_number,
        max_by(segment_dates.segment_id, segment_dates.as_of) as segment_id
    from segment_dates
    cross join walls
    inner join users
        on segment_dates.user_key = users.user_key
    where segment_dates.as_of <= walls.wall_at
    group by walls.wall_number, segment_dates.segmentation, users.user_number
)

select * from final
