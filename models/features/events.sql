{{ config(materialized='view') }}

-- The only door from staging to everything behind it: no event at or after the wall passes.
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

aged as (
    select
        staged.*,
        event_types.weight,
        event_types.sign,
        event_types.value_kind,
        ({{ epoch_seconds('wall.as_of') }} - {{ epoch_seconds('staged.event_at') }}) / 86400.0e0 as age_days
    from staged
    cross join wall
    inner join event_types
        on staged.event_type = event_types.canonical_type
    where staged.event_at < wall.as_of
),

final as (
    select
        user_key,
        item_id,
        event_type,
        event_at,
        event_on,
        value,
        is_value_capped,
        quantity,
        session_id,
        context,
        value_kind,
        age_days,
        case when value_kind = 'amount' then sign * round(abs(coalesce(value, 0)), 4) else 0 end as amount,
        {{ preference() }} as preference
    from aged
)

select * from final
