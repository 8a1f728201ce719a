with assignments as (
    select * from {{ ref('segment_assignments') }}
),

candidates as (
    select * from {{ ref('cluster_candidates') }}
),

wall as (
    select * from {{ ref('wall') }}
),

decisions as (
    select
        segmentation,
        max(decision) as decision,
        max(decision_reason) as decision_reason,
        max(fitted_as_of) as fitted_as_of
    from {{ ref('user_clusters') }}
    group by segmentation
),

counted as (
    select
        segmentation,
        count(*) as users,
        count(distinct case when not is_unassigned then segment_id end) as segments,
        count(*) filter (where is_unassigned) as unassigned_users,
        {{ stable_mean('round(margin, 6)') }} as mean_margin,
        max(run_id) as run_id
    from assignments
    group by segmentation
),

final as (
    select
        cast(counted.segmentation as string) as segmentation,
        cast(candidates.candidate as string) as candidate,
        cast(counted.users as bigint) as users,
        cast(counted.segments as bigint) as segments,
        cast(round(counted.unassigned_users / cast(counted.users as double), 6) as double) as unassigned_share,
        cast(round(counted.mean_margin, 6) as double) as mean_margin,
        cast(candidates.silhouette as double) as silhouette,
        cast(candidates.calinski_harabasz as double) as calinski_harabasz,
        cast(candidates.davies_bouldin as double) as davies_bouldin,
        cast(candidates.dunn as double) as dunn,
        cast(candidates.gap as double) as gap,
        cast(candidates.stability as double) as stability,
        cast(candidates.predictive as double) as predictive,
        cast(candidates.smallest_share as double) as smallest_share,
        cast(decisions.decision as string) as decision,
        cast(decisions.decision_reason as string) as decision_reason,
        cast(decisions.fitted_as_of as timestamp) as fitted_as_of,
        cast(wall.as_of as timestamp) as as_of,
        cast(counted.run_id as string) as run_id
    from counted
    left join candidates
        on
            counted.segmentation = candidates.segmentation
            and candidates.is_champion
    left join decisions
        on counted.segmentation = decisions.segmentation
    cross join wall
)

select * from final
