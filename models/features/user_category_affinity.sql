with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

items as (
    select * from {{ ref('stg_items') }}
),

summed as (
    select
        affinity.user_key,
        items.category,
        {{ stable_sum('affinity.decayed_events') }} as decayed_events,
        sum(affinity.positive_events) as positive_events,
        count(*) as items
    from affinity
    inner join items
        on affinity.item_id = items.item_id
    where items.category is not null and affinity.positive_events > 0
    group by affinity.user_key, items.category
),

totals as (
    select
        user_key,
        {{ stable_sum('decayed_events') }} as decayed_events
    from summed
    group by user_key
),

final as (
    select
        summed.user_key,
        summed.category,
        summed.decayed_events,
        cast(summed.positive_events as bigint) as positive_events,
        summed.items,
        round(summed.decayed_events / nullif(totals.decayed_events, 0), 6) as share
    from summed
    inner join totals
        on summed.user_key = totals.user_key
)

select * from final
