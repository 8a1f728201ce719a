{{ config(materialized='view') }}

with segment_dates as (
    select * from {{ ref('segment_dates') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(segment_dates.as_of as timestamp) as as_of,
        cast(segment_dates.segmentation as string) as segmentation,
        cast(segment_dates.user_key as string) as user_key,
        cast(segment_dates.segment_id as string) as segment_id,
        cast(coalesce(labels.name, segment_dates.segment_id) as string) as segment_name,
        cast(segment_dates.is_unassigned as boolean) as is_unassigned,
        cast(segment_dates.margin as double) as margin
    from segment_dates
    inner join wall
        on segment_dates.as_of <= wall.as_of
    left join labels
        on segment_dates.segment_id = labels.segment_id
)

select * from final
