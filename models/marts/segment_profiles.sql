with feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

final as (
    select
        cast(feature_stats.segmentation as string) as segmentation,
        cast(feature_stats.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(feature_stats.feature as string) as feature,
        cast(feature_stats.users as bigint) as users,
        cast(feature_stats.mean as double) as mean,
        cast(feature_stats.median as double) as median,
        cast(feature_stats.spread as double) as spread,
        cast(feature_stats.overall_mean as double) as overall_mean,
        cast(feature_stats.standardised_difference as double) as standardised_difference,
        cast(feature_stats.difference_rank as integer) as difference_rank
    from feature_stats
    inner join labels
        on feature_stats.segment_id = labels.segment_id
    where feature_stats.users >= {{ var('min_users_per_cell') }}
)

select * from final
