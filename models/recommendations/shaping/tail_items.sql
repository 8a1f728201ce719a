-- The long tail: all items but the most used ones that together make 80 % of all positive events.
with item_stats as (
    select * from {{ ref('item_stats') }}
),

cumulated as (
    select
        item_number,
        item_id,
        positive_events,
        sum(positive_events) over (
            order by positive_events desc, item_number asc
            rows between unbounded preceding and current row
        ) - positive_events as events_before,
        sum(positive_events) over () as all_events
    from item_stats
),

final as (
    select
        item_number,
        item_id,
        positive_events
    from cumulated
    where events_before >= 0.8e0 * all_events
)

select * from final
