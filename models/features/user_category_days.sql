with events as (
    select * from {{ ref('events') }}
),

item_categories as (
    select
        item_id,
        category
    from {{ ref('item_stats') }}
    where category is not null
),

final as (
    select
        events.user_key,
        item_categories.category,
        events.event_on,
        count(*) as events,
        {{ order_count() }} as orders,
        {{ spend() }} as spend
    from events
    inner join item_categories
        on events.item_id = item_categories.item_id
    group by events.user_key, item_categories.category, events.event_on
)

select * from final
