with assignments as (
    select * from {{ ref('segment_assignments') }}
),

final as (
    select
        segmentation,
        segment_id,
        is_unassigned,
        max(segment_name) as segment_name,
        count(*) as users,
        round(count(*) / sum(cast(count(*) as double)) over (partition by segmentation), 6) as share
    from assignments
    group by segmentation, segment_id, is_unassigned
)

select * from final
