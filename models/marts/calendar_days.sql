with events as (
    select * from {{ ref('events') }}
),

wall as (
    select * from {{ ref('wall') }}
),

first_day as (
    select min(event_on) as first_on
    from events
),

-- A wall at midnight closes the day before it; it does not open one.
bounds as (
    select
        wall.as_of,
        cast(wall.as_of - interval '1' second as date) as last_on,
        first_day.first_on
    from wall
    cross join first_day
    where first_day.first_on is not null
),

numbered as (
    select
        as_of,
        last_on,
        {{ explode(whole_numbers(0, days_between('first_on', 'last_on'))) }} as days_ago
    from bounds
),

dated as (
    select
        as_of,
        cast(days_ago as integer) as days_ago,
        {{ days_earlier('last_on', 'days_ago') }} as day_on
    from numbered
),

final as (
    select
        cast(day_on as date) as day_on,
        cast(date_trunc('week', day_on) as date) as week_on,
        cast(date_trunc('month', day_on) as date) as month_on,
        cast({{ iso_weekday('day_on') }} as integer) as weekday_number,
        cast(days_ago as integer) as days_ago,
        cast({{ days_earlier('day_on', '-1') }} <= as_of as boolean) as is_complete
    from dated
)

select * from final
