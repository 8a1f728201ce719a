with members as (
    select * from {{ ref('user_segments') }}
),

events as (
    select * from {{ ref('events') }}
),

item_categories as (
    select
        item_id,
        category
    from {{ ref('item_stats') }}
    where category is not null
),

days as (
    select * from {{ ref('calendar_days') }}
    where days_ago <= {{ var('daily_days') }}
),

-- Users first: memberships then meet a row for each user, category and day instead of each event.
user_category_days as (
    select
        events.user_key,
        item_categories.category,
        events.event_on,
        days.days_ago,
        count(*) as events,
        {{ order_count() }} as orders,
        {{ spend() }} as spend
    from events
    inner join days
        on events.event_on = days.day_on
    inner join item_categories
        on events.item_id = item_categories.item_id
    group by events.user_key, item_categories.category, events.event_on, days.days_ago
),

top_categories as (
    select
        category,
        row_number() over (order by count(distinct user_key) desc, sum(events) desc, category asc) as category_rank
    from user_category_days
    group by category
    qualify category_rank <= {{ var('daily_categories') }}
),

sizes as (
    select
        segment_id,
        count(*) as users
    from members
    group by segment_id
),

cells as (
    select
        members.segmentation,
        members.segment_id,
        members.segment_name,
        top_categories.category,
        top_categories.category_rank,
        user_category_days.event_on,
        user_category_days.days_ago,
        count(*) as active_users,
        sum(user_category_days.events) as events,
        sum(user_category_days.orders) as orders,
        sum(user_category_days.spend) as spend
    from user_category_days
    inner join top_categories
        on user_category_days.category = top_categories.category
    inner join members
        on user_category_days.user_key = members.user_key
    group by
        members.segmentation, members.segment_id, members.segment_name,
        top_categories.category, top_categories.category_rank, user_category_days.event_on,
        user_category_days.days_ago
),

final as (
    select
        cast(cells.segmentation as string) as segmentation,
        cast(cells.segment_id as string) as segment_id,
        cast(cells.segment_name as string) as segment_name,
        cast(cells.category as string) as category,
        cast(cells.category_rank as integer) as category_rank,
        cast(cells.event_on as date) as day_on,
        cast(cells.active_users as bigint) as active_users,
        cast(cells.events as bigint) as events,
        cast(cells.orders as bigint) as orders,
        cast(cells.spend as decimal(18, 2)) as spend,
        cast(cells.days_ago as integer) as days_ago
    from cells
    inner join sizes
        on cells.segment_id = sizes.segment_id
    where cells.active_users >= least({{ var('min_users_per_cell') }}, ceil(sizes.users / 10.0e0))
)

select * from final
