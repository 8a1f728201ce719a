-- What segment_category_daily and segment_category_weekly publish is what the events of the members say, counted in
-- another way, and no cell is smaller than it may be. Fails for each cell that differs.
with members as (
    select
        user_key,
        segment_id,
        count(*) over (partition by segment_id) as users
    from {{ ref('user_segments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

member_events as (
    select
        members.segment_id,
        members.users,
        item_stats.category,
        events.user_key,
        events.event_on,
        cast(date_trunc('week', events.event_on) as date) as week_on,
        events.amount
    from {{ ref('events') }} as events
    inner join members
        on events.user_key = members.user_key
    inner join {{ ref('item_stats') }} as item_stats
        on events.item_id = item_stats.item_id
),

{% for period in ['day', 'week'] %}
    {{ period }}_expected as (
        select
            segment_id,
            category,
            {{ 'event_on' if period == 'day' else 'week_on' }} as period_on,
            count(distinct user_key) as active_users,
            count(*) as events,
            sum(amount) as amount,
            count(distinct user_key || ' ' || event_on) as user_days,
            least({{ var('min_users_per_cell') }}, ceil(max(users) / 10.0e0)) as smallest
        from member_events
        group by segment_id, category, {{ 'event_on' if period == 'day' else 'week_on' }}
    ),

    {{ period }}_differences as (
        select
            found.segment_id,
            found.category,
            found.{{ period }}_on as period_on
        from {{ ref('segment_category_daily' if period == 'day' else 'segment_category_weekly') }} as found
        left join {{ period }}_expected as expected
            on
                found.segment_id = expected.segment_id
                and found.category = expected.category
                and found.{{ period }}_on = expected.period_on
        where
            found.segmentation = '{{ var("default_segmentation") }}'
            and (
                expected.segment_id is null
                or found.active_users <> expected.active_users
                or found.active_users < expected.smallest
                or found.events <> expected.events
                -- Spend is rounded for each user and day.
                or abs(found.spend - expected.amount) > 0.006 * expected.user_days
            )
    ),
{% endfor %}

final as (
    select * from day_differences
    union all
    select * from week_differences
)

select * from final
