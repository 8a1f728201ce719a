with events as (
    select * from {{ ref('events') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

-- Few pairs come again: only their events are ordered.
repeated as (
    select
        user_key,
        item_id
    from affinity
    where is_repeated and positive_events > 1
),

days as (
    select distinct
        events.user_key,
        events.item_id,
        events.event_on
    from events
    inner join repeated
        on
            events.user_key = repeated.user_key
            and events.item_id = repeated.item_id
    where events.preference > 0
),

gaps as (
    select
        user_key,
        item_id,
        event_on - lag(event_on) over (partition by user_key, item_id order by event_on) as gap_days
    from days
),

final as (
    select
        user_key,
        item_id,
        count(gap_days) as repeats,
        cast(median(gap_days) as double) as median_gap_days
    from gaps
    group by user_key, item_id
    having count(gap_days) > 0
)

select * from final
