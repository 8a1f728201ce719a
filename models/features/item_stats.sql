{%- set min_repeating_users = 5 %}

with items as (
    select * from {{ ref('stg_items') }}
),

wall as (
    select * from {{ ref('wall') }}
),

events as (
    select * from {{ ref('events') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

known_items as (
    select items.*
    from items
    cross join wall
    where items.released_at is null or items.released_at < wall.as_of
),

item_users as (
    select
        item_id,
        count(*) filter (where positive_events > 0) as users,
        count(*) filter (where positive_events > 0 and is_repeated) as repeat_users,
        {{ stable_sum('recent_events') }} as decayed_popularity
    from affinity
    group by item_id
),

-- Each user who comes again counts once, however often: the interval is the item's, not that of its best customer.
item_repeats as (
    select
        item_id,
        median(median_gap_days) as typical_repeat_days
    from {{ ref('user_item_repeats') }}
    group by item_id
    having count(*) >= {{ min_repeating_users }}
),

item_events as (
    select
        item_id,
        count(*) as events,
        count(*) filter (where preference > 0) as positive_events,
        count(*) filter (where preference > 0 and age_days < {{ var('popularity_half_life_days') }})
            as recent_events,
        count(*) filter (
            where
            preference > 0
            and age_days >= {{ var('popularity_half_life_days') }}
            and age_days < 2 * {{ var('popularity_half_life_days') }}
        ) as earlier_events,
        {{ stable_sum('amount', 4) }} as amount,
        {{ stable_sum('case when amount > 0 then amount else 0 end', 4) }}
        / nullif({{ stable_sum('case when amount > 0 then quantity else 0 end', 4) }}, 0) as mean_paid_price,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at
    from events
    group by item_id
),

final as (
    select
        cast(row_number() over (
            order by item_users.users desc nulls last, known_items.item_id asc
        ) as integer) as item_number,
        known_items.item_id,
        known_items.title,
        known_items.category,
        known_items.subcategory,
        known_items.brand,
        known_items.is_active,
        coalesce(item_users.users, 0) as users,
        coalesce(item_events.events, 0) as events,
        coalesce(item_events.positive_events, 0) as positive_events,
        coalesce(item_users.decayed_popularity, 0) as decayed_popularity,
        -- Smoothed by ten events on either side, so that 1 against 0 is no trend.
        round(
            ln((coalesce(item_events.recent_events, 0) + 10.0e0) / (coalesce(item_events.earlier_events, 0) + 10.0e0)),
            6
        ) as trend,
        round(item_users.repeat_users / nullif(cast(item_users.users as double), 0), 6) as repeat_rate,
        item_repeats.typical_repeat_days,
        coalesce(item_events.amount, 0) as amount,
        round(coalesce(known_items.price, item_events.mean_paid_price), 4) as price,
        item_events.first_event_at,
        item_events.last_event_at
    from known_items
    left join item_users
        on known_items.item_id = item_users.item_id
    left join item_events
        on known_items.item_id = item_events.item_id
    left join item_repeats
        on known_items.item_id = item_repeats.item_id
    -- An item that only later events speak of is not known yet.
    where known_items.is_described or item_events.item_id is not null
)

select * from final
