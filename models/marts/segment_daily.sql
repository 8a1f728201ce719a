with members as (
    select * from {{ ref('user_segments') }}
),

user_days as (
    select * from {{ ref('user_days') }}
),

days as (
    select * from {{ ref('calendar_days') }}
    where days_ago < {{ var('daily_days') }}
),

segments as (
    select
        segmentation,
        segment_id,
        segment_name,
        count(*) as users
    from members
    group by segmentation, segment_id, segment_name
),

activity as (
    select
        members.segment_id,
        user_days.event_on,
        count(*) as active_users,
        sum(user_days.events) as events,
        sum(user_days.orders) as orders,
        sum(user_days.spend) as spend
    from user_days
    inner join days
        on user_days.event_on = days.day_on
    inner join members
        on user_days.user_key = members.user_key
    group by members.segment_id, user_days.event_on
),

final as (
    select
        cast(segments.segmentation as string) as segmentation,
        cast(segments.segment_id as string) as segment_id,
        cast(segments.segment_name as string) as segment_name,
        cast(days.day_on as date) as day_on,
        cast(segments.users as bigint) as users,
        cast(coalesce(activity.active_users, 0) as bigint) as active_users,
        cast(coalesce(activity.events, 0) as bigint) as events,
        cast(coalesce(activity.orders, 0) as bigint) as orders,
        cast(coalesce(activity.spend, 0) as decimal(18, 2)) as spend,
        cast(days.is_complete as boolean) as is_complete
    from segments
    cross join days
    left join activity
        on
            segments.segment_id = activity.segment_id
            and days.day_on = activity.event_on
)

select * from final
