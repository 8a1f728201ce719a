with assignments as (
    select * from {{ ref('segment_assignments') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

stays as (
    select * from {{ ref('segment_stays') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(assignments.segmentation as string) as segmentation,
        cast(assignments.user_key as string) as user_key,
        cast(assignments.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(assignments.is_unassigned as boolean) as is_unassigned,
        cast(assignments.distance as double) as distance,
        cast(assignments.second_distance as double) as second_distance,
        cast(assignments.margin as double) as margin,
        cast(assignments.reason as string) as reason,
        cast(stays.since as timestamp) as since,
        cast(stays.previous_segment_id as string) as previous_segment_id,
        cast(coalesce(previous_labels.name, stays.previous_segment_id) as string) as previous_segment_name,
        cast(wall.as_of as timestamp) as assigned_as_of,
        cast(assignments.run_id as string) as run_id,
        cast(assignments.model_version as string) as model_version
    from assignments
    inner join labels
        on assignments.segment_id = labels.segment_id
    inner join stays
        on
            assignments.segmentation = stays.segmentation
            and assignments.user_key = stays.user_key
    left join labels as previous_labels
        on stays.previous_segment_id = previous_labels.segment_id
    cross join wall
)

select * from final
