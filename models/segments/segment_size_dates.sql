with segment_dates as (
    select * from {{ ref('segment_dates') }}
),

final as (
    select
        as_of,
        segmentation,
        segment_id,
        is_unassigned,
        count(*) as users,
        cast(sum(count(*)) over (partition by as_of, segmentation) as bigint) as all_users,
        round({{ stable_mean('round(margin, 6)') }}, 6) as mean_margin
    from segment_dates
    group by as_of, segmentation, segment_id, is_unassigned
)

select * from final
