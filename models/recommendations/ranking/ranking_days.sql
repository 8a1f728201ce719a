{{ config(materialized=stored_if_learning()) }}

-- Narrow and of numbers: every table of the ranker reads it, at two walls.
with events as (
    select * from {{ ref('events') }}
    where preference > 0
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select
        users.user_number,
        item_stats.item_number,
        events.event_on,
        cast(min(events.age_days) as float) as age_days,
        cast(max(events.preference) as float) as preference,
        max(events.context) as context
    from events
    inner join users
        on events.user_key = users.user_key
    inner join item_stats
        on events.item_id = item_stats.item_id
    group by users.user_number, item_stats.item_number, events.event_on
)

select * from final
