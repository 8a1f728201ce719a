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

{%- set low, high = var('rating_scale') %}
{%- set middle, half_range = (low + high) / 2, (high - low) / 2 %}

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
        weight * sign * case
            when value_kind = 'rating' and value is not null
                then greatest(-1, least(1, (value - {{ middle }}) / {{ half_range }}))
            when value_kind = 'seconds' and value is not null
                then least(1, greatest(0, value) / {{ var('full_attention_seconds') }})
            else 1
        end as preference
    from aged
)

select * from final
