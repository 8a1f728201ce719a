with events_after_wall as (
    select distinct
        user_key,
        item_id
    from {{ ref('events_after_wall') }}
),

users as (
    select * from {{ ref('backtest_users') }}
),

items as (
    select * from {{ ref('backtest_items') }}
),

affinity as (
    select
        user_key,
        item_id
    from {{ ref('user_item_affinity') }}
),

final as (
    select
        users.user_number,
        events_after_wall.item_id,
        items.item_number,
        affinity.item_id is null as is_new,
        coalesce(items.is_supported, false) as is_supported
    from events_after_wall
    inner join users
        on events_after_wall.user_key = users.user_key
    left join items
        on events_after_wall.item_id = items.item_id
    left join affinity
        on
            events_after_wall.user_key = affinity.user_key
            and events_after_wall.item_id = affinity.item_id
)

select * from final
