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
        {{ top_rows(['event_at', 'item_id', 'event_type'], var('max_sequence_length')) }} as newest_events
    from positive_events
    group by user_key
),

final as (
    select
        newest_first.user_key,
        newest_first.events,
        least(newest_first.events, {{ var('max_sequence_length') }}) as sequence_length,
        {{ field_reversed('newest_events', 'item_id') }} as item_ids,
        {{ field_reversed('newest_events', 'event_type') }} as event_types,
        {{ field_reversed('newest_events', 'event_at') }} as event_times
    from newest_first
)

select * from final
