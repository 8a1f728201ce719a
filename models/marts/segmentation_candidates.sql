with candidates as (
    select * from {{ ref('cluster_candidates') }}
),

final as (
    select
        cast(segmentation as string) as segmentation,
        cast(candidate as string) as candidate,
        cast(algorithm as string) as algorithm,
        cast(parameters as string) as parameters,
        cast(clusters as integer) as clusters,
        cast(silhouette as double) as silhouette,
        cast(calinski_harabasz as double) as calinski_harabasz,
        cast(davies_bouldin as double) as davies_bouldin,
        cast(dunn as double) as dunn,
        cast(gap as double) as gap,
        cast(gap_error as double) as gap_error,
        cast(stability as double) as stability,
        cast(predictive as double) as predictive,
        cast(noise_share as double) as noise_share,
        cast(smallest_share as double) as smallest_share,
        cast(mean_rank as double) as mean_rank,
        cast(votes as double) as votes,
        cast(is_champion as boolean) as is_champion,
        cast(reason as string) as reason,
        cast(run_id as string) as run_id
    from candidates
)

select * from final
