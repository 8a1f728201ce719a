-- Segment by segment and day by day, segment_daily says what the events of the members say, counted in another way, and
-- zero where they have none. Fails for each segment and day that differs, and for each segment that lacks a day.
with members as (
    select
        user_key,
        segment_id
    from {{ ref('user_segments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

days as (
    select * from {{ ref('calendar_days') }}
    where days_ago <= {{ var('daily_days') }}
),

events as (
    select * from {{ ref('events') }}
),

segment_daily as (
    select * from {{ ref('segment_daily') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

orders as (
    select distinct
        user_key,
        event_on,
        coalesce(session_id, '') as session_id
    from events
    where value_kind = 'amount' and preference > 0
),

segment_orders as (
    select
        members.segment_id,
        orders.event_on,
        count(*) as orders
    from orders
    inner join members
        on orders.user_key = members.user_key
    group by members.segment_id, orders.event_on
),

segment_events as (
    select
        members.segment_id,
        events.event_on,
        count(distinct events.user_key) as active_users,
        count(*) as events,
        sum(events.amount) as amount
    from events
    inner join members
        on events.user_key = members.user_key
    inner join days
        on events.event_on = days.day_on
    group by members.segment_id, events.event_on
),

expected as (
    select
        segment_events.*,
        coalesce(segment_orders.orders, 0) as orders
    from segment_events
    left join segment_orders
        on
            segment_events.segment_id = segment_orders.segment_id
            and segment_events.event_on = segment_orders.event_on
),

other_figures as (
    select
        coalesce(expected.segment_id, segment_daily.segment_id) as segment_id,
        coalesce(expected.event_on, segment_daily.day_on) as day_on
    from expected
    full outer join segment_daily
        on
            expected.segment_id = segment_daily.segment_id
            and expected.event_on = segment_daily.day_on
    where
        segment_daily.segment_id is null
        or coalesce(expected.active_users, 0) <> segment_daily.active_users
        or coalesce(expected.events, 0) <> segment_daily.events
        or coalesce(expected.orders, 0) <> segment_daily.orders
        -- Spend is rounded for each user and day.
        or abs(coalesce(expected.amount, 0) - segment_daily.spend) > 0.006 * segment_daily.active_users
),

sizes as (
    select
        segment_id,
        count(*) as users
    from members
    group by segment_id
),

segment_days as (
    select
        segment_id,
        count(*) as days,
        min(users) as fewest_users,
        max(users) as most_users
    from segment_daily
    group by segment_id
),

day_count as (
    select count(*) as days
    from days
),

other_days as (
    select
        sizes.segment_id,
        cast(null as date) as day_on
    from sizes
    cross join day_count
    left join segment_days
        on sizes.segment_id = segment_days.segment_id
    where
        coalesce(segment_days.days, 0) <> day_count.days
        or segment_days.fewest_users <> sizes.users
        or segment_days.most_users <> sizes.users
),

final as (
    select
        segment_id,
        day_on
    from other_figures
    union all
    select
        segment_id,
        day_on
    from other_days
)

select * from final
