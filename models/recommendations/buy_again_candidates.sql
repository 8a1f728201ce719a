with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

eligible as (
    select
        affinity.user_key,
        affinity.item_id,
        round(ln(1 + affinity.decayed_events) + 0.3e0 * ln(1 + affinity.recent_events), 6) as score,
        affinity.last_positive_event_at,
        affinity.positive_events
    from affinity
    inner join item_stats
        on affinity.item_id = item_stats.item_id
    where affinity.affinity > 0 and item_stats.is_active
),

strongest as (
    select
        user_key,
        {{ top_rows(
            ['score', 'last_positive_event_at', 'item_id', 'positive_events'], var('candidates_per_source')
        ) }} as items
    from eligible
    group by user_key
),

exploded as (
    select
        user_key,
        {{ explode('items') }} as item
    from strongest
),

final as (
    select
        exploded.user_key,
        item.item_id,
        'buy_again' as source,
        item.score,
        item.positive_events as evidence_events,
        item.last_positive_event_at as evidence_at
    from exploded
)

select * from final
