with positions as (
    select * from {{ ref('user_positions') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

labels as (
    select * from {{ ref('segment_labels') }}
),

final as (
    select
        cast(positions.user_key as string) as user_key,
        cast(positions.x as double) as x,
        cast(positions.y as double) as y,
        cast(assignments.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(positions.run_id as string) as run_id
    from positions
    left join assignments
        on positions.user_key = assignments.user_key
    left join labels
        on assignments.segment_id = labels.segment_id
)

select * from final
