with feature_dates as (
    select * from {{ ref('segment_feature_dates') }}
),

size_dates as (
    select * from {{ ref('segment_size_dates') }}
),

walls as (
    select
        segmentation,
        as_of,
        lag(as_of) over (partition by segmentation order by as_of) as last_as_of
    from size_dates
    group by segmentation, as_of
),

shifts as (
    select
        walls.segmentation,
        walls.as_of,
        feature_dates.segment_id,
        round(power((feature_dates.mean - earlier.mean) / earlier.overall_spread, 2), 9) as squared_shift
    from walls
    inner join feature_dates
        on
            walls.segmentation = feature_dates.segmentation
            and walls.as_of = feature_dates.as_of
    inner join feature_dates as earlier
        on
            walls.segmentation = earlier.segmentation
            and walls.last_as_of = earlier.as_of
            and feature_dates.segment_id = earlier.segment_id
            and feature_dates.feature = earlier.feature
    where earlier.overall_spread > 0
),

final as (
    select
        segmentation,
        as_of,
        segment_id,
        count(*) as features,
        round(sqrt({{ stable_mean('squared_shift', 9) }}), 6) as centroid_shift
    from shifts
    group by segmentation, as_of, segment_id
)

select * from final
