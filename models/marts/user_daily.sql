with events as (
    select * from {{ ref('events') }}
),

days as (
    select * from {{ ref('calendar_days') }}
),

active_days as (
    select
        user_key,
        event_on,
        count(*) as events,
        {{ order_count() }} as orders,
        {{ spend() }} as spend
    from events
    group by user_key, event_on
),

-- An incomplete last day may still bring users back.
last_complete_day as (
    select max(day_on) as day_on
    from days
    where is_complete
),

followed as (
    select
        *,
        lead(event_on) over (partition by user_key order by event_on) as next_active_on
    from active_days
),

final as (
    select
        cast(followed.user_key as string) as user_key,
        cast(followed.event_on as date) as day_on,
        cast(followed.events as bigint) as events,
        cast(followed.orders as bigint) as orders,
        cast(followed.spend as decimal(18, 2)) as spend,
        cast(case
            when {{ days_between('followed.event_on', 'last_complete_day.day_on') }} >= {{ var('retention_days') }}
                then coalesce(
                    {{ days_between('followed.event_on', 'followed.next_active_on') }} <= {{ var('retention_days') }},
                    false
                )
        end as boolean) as is_retained
    from followed
    inner join days
        on followed.event_on = days.day_on
    cross join last_complete_day
    where days.days_ago <= {{ var('daily_days') }}
)

select * from final
