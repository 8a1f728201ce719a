{{ config(materialized='view') }}

with checked as (
    select * from {{ ref('stg_events_checked') }}
),

rejected as (
    select
        *,
        row_count as rejected_rows
    from checked
    where rejection_reason is not null
),

-- The first of several identical rows is clean, the others are duplicates.
duplicates as (
    select
        * replace ('duplicate' as rejection_reason),
        row_count - 1 as rejected_rows
    from checked
    where rejection_reason is null and row_count > 1
),

combined as (
    select * from rejected
    union all
    select * from duplicates
),

final as (
    select
        rejection_reason,
        rejected_rows,
        user_key,
        item_id,
        raw_event_type,
        event_at,
        value,
        quantity,
        session_id,
        context,
        event_text,
        extras
    from combined
)

select * from final
