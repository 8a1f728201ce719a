with cluster_dates as (
    select * from {{ ref('cluster_dates') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cluster_dates.segmentation,
        cluster_dates.user_key,
        cluster_dates.cluster,
        cluster_dates.segment_number,
        cluster_dates.second_segment_number,
        cluster_dates.distance,
        cluster_dates.second_distance,
        cluster_dates.margin,
        cluster_dates.probability,
        cluster_dates.decision,
        cluster_dates.decision_reason,
        cluster_dates.fitted_as_of,
        cluster_dates.run_id,
        cluster_dates.model_version
    from cluster_dates
    inner join wall
        on cluster_dates.as_of = wall.as_of
)

select * from final
