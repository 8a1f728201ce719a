-- Fails when a feature table has seen an event at or after the wall: a backtest on it would be worthless.
with wall as (
    select as_of from {{ ref('wall') }}
),

newest as (
    select
        'events' as relation,
        max(event_at) as event_at
    from {{ ref('events') }}
    union all
    select
        'user_item_affinity' as relation,
        max(last_event_at) as event_at
    from {{ ref('user_item_affinity') }}
    union all
    select
        'item_stats' as relation,
        max(last_event_at) as event_at
    from {{ ref('item_stats') }}
    union all
    select
        'user_attributes' as relation,
        max(last_event_at) as event_at
    from {{ ref('user_attributes') }}
    union all
    select
        'user_sequences' as relation,
        max(event_times[sequence_length]) as event_at
    from {{ ref('user_sequences') }}
)

select
    newest.relation,
    newest.event_at
from newest
cross join wall
where newest.event_at >= wall.as_of
