with assignments as (
    select * from {{ ref('segment_assignments') }}
),

wall as (
    select * from {{ ref('wall') }}
),

segment_dates as (
    select * from {{ ref('segment_dates') }}
),

known_dates as (
    select
        segment_dates.segmentation,
        segment_dates.user_key,
        segment_dates.as_of,
        segment_dates.segment_id,
        segment_dates.segment_id = assignments.segment_id as is_here
    from segment_dates
    inner join assignments
        on
            segment_dates.segmentation = assignments.segmentation
            and segment_dates.user_key = assignments.user_key
    inner join wall
        on segment_dates.as_of <= wall.as_of
),

elsewhere as (
    select
        segmentation,
        user_key,
        max(as_of) as last_as_of,
        max_by(segment_id, as_of) as segment_id
    from known_dates
    where not is_here
    group by segmentation, user_key
),

here as (
    select
        known_dates.segmentation,
        known_dates.user_key,
        min(known_dates.as_of) as since
    from known_dates
    left join elsewhere
        on
            known_dates.segmentation = elsewhere.segmentation
            and known_dates.user_key = elsewhere.user_key
    where elsewhere.last_as_of is null or known_dates.as_of > elsewhere.last_as_of
    group by known_dates.segmentation, known_dates.user_key
),

-- A wall older than history_dates leaves no dates behind; then the stay begins with the build itself.
final as (
    select
        assignments.segmentation,
        assignments.user_key,
        coalesce(here.since, wall.as_of) as since,
        elsewhere.segment_id as previous_segment_id
    from assignments
    cross join wall
    left join here
        on
            assignments.segmentation = here.segmentation
            and assignments.user_key = here.user_key
    left join elsewhere
        on
            assignments.segmentation = elsewhere.segmentation
            and assignments.user_key = elsewhere.user_key
)

select * from final
