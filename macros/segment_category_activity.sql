{#
    The body of segment_category_daily and segment_category_weekly: what users of a segment did in a category in each
    period, day or week. Weeks that the wall or the start of the window cuts are left out.
#}
{% macro segment_category_activity(period) -%}
{%- set period_on = period ~ '_on' -%}
with members as (
    select * from {{ ref('user_segments') }}
),

window_days as (
    select
        *,
        count(*) filter (where is_complete) over (partition by week_on) as week_days
    from {{ ref('calendar_days') }}
    where days_ago <= {{ var('daily_days') }}
),

days as (
    select * from window_days
    {% if period == 'week' %}
        where week_days = 7
    {% endif %}
),

user_category_days as (
    select activity.*
    from {{ ref('user_category_days') }} as activity
    inner join window_days
        on activity.event_on = window_days.day_on
),

ranked_categories as (
    select
        category,
        row_number() over (order by count(distinct user_key) desc, sum(events) desc, category asc) as category_rank
    from user_category_days
    group by category
),

-- What sets a small segment apart is seldom among what most people take.
distinctive_categories as (
    select distinct category
    from {{ ref('segment_top_categories') }}
    where rank <= 3
),

kept_categories as (
    select ranked_categories.*
    from ranked_categories
    left join distinctive_categories
        on ranked_categories.category = distinctive_categories.category
    where
        ranked_categories.category_rank <= {{ var('daily_categories') }}
        or distinctive_categories.category is not null
),

-- Users first: memberships then meet a row for each user, category and period instead of each event.
user_periods as (
    select
        user_category_days.user_key,
        user_category_days.category,
        kept_categories.category_rank,
        days.{{ period_on }},
        sum(user_category_days.events) as events,
        sum(user_category_days.orders) as orders,
        sum(user_category_days.spend) as spend
    from user_category_days
    inner join kept_categories
        on user_category_days.category = kept_categories.category
    inner join days
        on user_category_days.event_on = days.day_on
    group by
        user_category_days.user_key, user_category_days.category, kept_categories.category_rank, days.{{ period_on }}
),

period_ends as (
    select
        {{ period_on }},
        min(days_ago) as days_ago
    from days
    group by {{ period_on }}
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
        user_periods.category,
        user_periods.category_rank,
        user_periods.{{ period_on }},
        count(*) as active_users,
        sum(user_periods.events) as events,
        sum(user_periods.orders) as orders,
        sum(user_periods.spend) as spend
    from user_periods
    inner join members
        on user_periods.user_key = members.user_key
    group by
        members.segmentation, members.segment_id, members.segment_name,
        user_periods.category, user_periods.category_rank, user_periods.{{ period_on }}
),

final as (
    select
        cast(cells.segmentation as string) as segmentation,
        cast(cells.segment_id as string) as segment_id,
        cast(cells.segment_name as string) as segment_name,
        cast(cells.category as string) as category,
        cast(cells.category_rank as integer) as category_rank,
        cast(cells.{{ period_on }} as date) as {{ period_on }},
        cast(cells.active_users as bigint) as active_users,
        cast(cells.events as bigint) as events,
        cast(cells.orders as bigint) as orders,
        cast(cells.spend as decimal(18, 2)) as spend,
        cast(period_ends.days_ago as integer) as days_ago
    from cells
    inner join sizes
        on cells.segment_id = sizes.segment_id
    inner join period_ends
        on cells.{{ period_on }} = period_ends.{{ period_on }}
    where cells.active_users >= least({{ var('min_users_per_cell') }}, ceil(sizes.users / 10.0e0))
)

select * from final
{%- endmacro %}
