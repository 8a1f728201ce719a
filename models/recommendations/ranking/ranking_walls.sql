-- Two points in time: the wall of the build, and one so many days earlier from which the ranker learns: what it knew
-- then, and what users did afterwards.
with wall as (
    select * from {{ ref('wall') }}
),

numbered as (
    select
        0 as wall_number,
        as_of as wall_at,
        0.0e0 as days_before
    from wall
    union all
    select
        1 as wall_number,
        as_of - interval '{{ var("prediction_days") }}' day as wall_at,
        cast({{ var('prediction_days') }} as double) as days_before
    from wall
),

final as (
    select
        wall_number,
        wall_at,
        days_before
    from numbered
)

select * from final
