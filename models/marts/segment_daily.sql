with members as (
    select * from {{ ref('user_segments') }}
),

user_daily as (
    select * from {{ ref('user_daily') }}
),

days as (
    select * from {{ ref('calendar_days') }}
    where days_ago <= {{ var('daily_days') }}
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
        user_daily.day_on,
        count(*) as active_users,
        sum(user_daily.events) as events,
        sum(user_daily.orders) as orders,
        sum(user_daily.spend) as spend,
        sum(cast(user_daily.is_retained as integer)) as retained_users
    from user_daily
    inner join members
        on user_daily.user_key = members.user_key
    group by members.segment_id, user_daily.day_on
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
        cast(activity.retained_users as bigint) as retained_users,
        cast(days.days_ago as integer) as days_ago,
        cast(days.is_complete as boolean) as is_complete
    from segments
    cross join days
    left join activity
        on
            segments.segment_id = activity.segment_id
            and days.day_on = activity.day_on
)

select * from final
