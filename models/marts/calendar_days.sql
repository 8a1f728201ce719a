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
        cast(wall.as_of as date) as wall_on,
        {{ days_between('first_day.first_on', "cast(wall.as_of - interval '1' second as date)") }} as last_number,
        first_day.first_on
    from wall
    cross join first_day
    where first_day.first_on is not null
),

numbered as (
    select
        wall_on,
        first_on,
        {{ explode(whole_numbers(0, 'last_number')) }} as day_number
    from bounds
),

dated as (
    select
        wall_on,
        {{ days_later('first_on', 'day_number') }} as day_on
    from numbered
),

final as (
    select
        cast(day_on as date) as day_on,
        cast(date_trunc('week', day_on) as date) as week_on,
        cast(date_trunc('month', day_on) as date) as month_on,
        cast({{ iso_weekday('day_on') }} as integer) as weekday_number,
        cast({{ days_between('day_on', 'wall_on') }} as integer) as days_ago,
        cast(day_on < wall_on as boolean) as is_complete
    from dated
)

select * from final
