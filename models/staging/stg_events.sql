{{ config(materialized='view') }}

with checked as (
    select * from {{ ref('stg_events_checked') }}
),

value_caps as (
    select * from {{ ref('stg_value_caps') }}
),

final as (
    select
        checked.user_key,
        checked.item_id,
        checked.event_type,
        checked.raw_event_type,
        checked.event_at,
        checked.event_on,
        case
            when abs(checked.value) > value_caps.value_cap then sign(checked.value) * value_caps.value_cap
            else checked.value
        end as value,
        coalesce(abs(checked.value) > value_caps.value_cap, false) as is_value_capped,
        checked.quantity,
        checked.session_id,
        checked.context,
        checked.event_text,
        checked.extras
    from checked
    left join value_caps
        on checked.event_type = value_caps.event_type
    where checked.rejection_reason is null
)

select * from final
