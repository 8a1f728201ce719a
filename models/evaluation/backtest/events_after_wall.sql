{{ config(materialized='view') }}

-- The only door through which the backtest sees what happened at and after the wall.
with staged as (
    select * from {{ ref('stg_events') }}
),

wall as (
    select * from {{ ref('wall') }}
),

event_types as (
    select
        canonical_type,
        max(weight) as weight,
        max(sign) as sign,
        max(value_kind) as value_kind
    from {{ ref('stg_event_types') }}
    group by canonical_type
),

judged as (
    select
        staged.user_key,
        staged.item_id,
        staged.event_at,
        staged.value,
        event_types.weight,
        event_types.sign,
        event_types.value_kind
    from staged
    cross join wall
    inner join event_types
        on staged.event_type = event_types.canonical_type
    where
        staged.event_at >= wall.as_of
        and staged.event_at < wall.as_of + interval '{{ var("backtest_days") }}' day
),

final as (
    select
        user_key,
        item_id,
        event_at,
        {{ preference() }} as preference
    from judged
)

select * from final
where preference > 0
