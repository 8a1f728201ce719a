with assignments as (
    select * from {{ ref('segment_assignments') }}
),

wall as (
    select * from {{ ref('wall') }}
),

known_dates as (
    select segment_dates.*
    from {{ ref('segment_dates') }} as segment_dates
    cross join wall
    where segment_dates.as_of <= wall.as_of
),

elsewhere as (
    select
        assignments.segmentation,
        assignments.user_key,
        max(known_dates.as_of) as last_as_of,
        max_by(known_dates.segment_id, known_dates.as_of) as segment_id
    from known_dates
    inner join assignments
        on
            known_dates.segmentation = assignments.segmentation
            and known_dates.user_key = assignments.user_key
    where known_dates.segment_id <> assignments.segment_id
    group by assignments.segmentation, assignments.user_key
),

stays as (
    select
        assignments.segmentation,
        assignments.user_key,
        max(elsewhere.segment_id) as previous_segment_id,
        min(known_dates.as_of) as since
    from assignments
    left join elsewhere
        on
            assignments.segmentation = elsewhere.segmentation
            and assignments.user_key = elsewhere.user_key
    left join known_dates
        on
            assignments.segmentation = known_dates.segmentation
            and assignments.user_key = known_dates.user_key
            and (elsewhere.last_as_of is null or elsewhere.last_as_of < known_dates.as_of)
    group by assignments.segmentation, assignments.user_key
),

-- A wall older than history_dates leaves no dates behind; then the stay begins with the build itself.
final as (
    select
        stays.segmentation,
        stays.user_key,
        coalesce(stays.since, wall.as_of) as since,
        stays.previous_segment_id
    from stays
    cross join wall
)

select * from final
