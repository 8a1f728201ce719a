with events as (
    select * from {{ ref('events') }}
),

positive_events as (
    select * from events
    where preference > 0
),

-- A bounded heap per user keeps the newest; the ties of one instant are broken by item.
newest_first as (
    select
        user_key,
        count(*) as events,
        {{ top_values('item_id', '(event_at, item_id, event_type)', var('max_sequence_length')) }} as item_ids,
        {{ top_values('event_type', '(event_at, item_id, event_type)', var('max_sequence_length')) }} as event_types,
        {{ top_values('event_at', '(event_at, item_id, event_type)', var('max_sequence_length')) }} as event_times
    from positive_events
    group by user_key
),

final as (
    select
        user_key,
        events,
        least(events, {{ var('max_sequence_length') }}) as sequence_length,
        list_reverse(item_ids) as item_ids,
        list_reverse(event_types) as event_types,
        list_reverse(event_times) as event_times
    from newest_first
)

select * from final
