{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='partition_on',
        on_schema_change='fail',
        post_hook="delete from {{ this }} where user_key is not null
            and user_key not in (select user_key from {{ ref('stg_user_keys') }})"
    )
}}

{#
    Every raw row with the reason why it is rejected, or none. Each reason looks at rows of one calendar day only, so
    reading some days again gives what a full refresh gives. An incremental run reads the last late_event_days again,
    rows without a usable time (partition 0001-01-01), and rows that arrived for older days (partition 0001-01-02,
    reason too_late).
#}
{%- set columns = [
    'user_id', 'item_id', 'event_type', 'event_at', 'value', 'quantity', 'session_id', 'context', 'event_text', 'extras'
] %}

with input as (
    select * from {{ ref('input_events') }}
),

event_types as (
    select * from {{ ref('stg_event_types') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
),

erasures as (
    select * from {{ ref('stg_erasures') }}
),

{% if is_incremental() %}
    stored as (
        select * from {{ this }}
    ),

    window_start as (
        select max(event_on) - {{ var('late_event_days') }} as starts_on
        from stored
        where rejection_reason is null
    ),
{% endif %}

trimmed as (
    select
        nullif(trim(input.user_id), '') as user_id,
        nullif(trim(input.item_id), '') as item_id,
        nullif(lower(trim(input.event_type)), '') as event_type,
        input.event_at,
        input.value,
        input.quantity,
        input.session_id,
        input.context,
        input.event_text,
        input.extras
    from input
),

kept as (
    select trimmed.*
    from trimmed
    where trimmed.user_id is null or trimmed.user_id not in (select erasures.user_id from erasures)
),

{% if is_incremental() %}
    -- Days before the window that hold more raw rows than were read: something arrived too late.
    late_days as (
        select raw_days.event_on
        from (
            select
                cast(kept.event_at as date) as event_on,
                count(*) as row_count
            from kept
            cross join window_start
            where cast(kept.event_at as date) < window_start.starts_on
            group by cast(kept.event_at as date)
        ) as raw_days
        left join (
            select
                stored.event_on,
                sum(stored.row_count) as row_count
            from stored
            where stored.partition_on <> date '0001-01-02'
            group by stored.event_on
        ) as stored_days
            on raw_days.event_on = stored_days.event_on
        where raw_days.row_count > coalesce(stored_days.row_count, 0)
    ),

    to_read as (
        select kept.*
        from kept
        cross join window_start
        where
            kept.event_at is null
            or window_start.starts_on is null
            or cast(kept.event_at as date) >= window_start.starts_on
            or cast(kept.event_at as date) in (select late_days.event_on from late_days)
    ),
{% else %}
    to_read as (
        select * from kept
    ),
{% endif %}

-- Identical rows become one with a count: cheaper than numbering them, and nothing is lost.
distinct_rows as (
    select
        {{ columns | join(',\n        ') }},
        count(*) as row_count
    from to_read
    group by
        {{ columns | join(',\n        ') }}
),

checked as (
    select
        distinct_rows.*,
        user_keys.user_key,
        event_types.canonical_type,
        coalesce(event_types.is_order_line, false) as is_order_line,
        cast(distinct_rows.event_at as date) as event_on,
        case
            when distinct_rows.user_id is null then 'missing_user_id'
            when distinct_rows.item_id is null then 'missing_item_id'
            when distinct_rows.event_at is null then 'missing_time'
            when
                cast(distinct_rows.event_at as date) < date '{{ var("earliest_event_on") }}'
                or cast(distinct_rows.event_at as date) > current_date + 1
                then 'impossible_time'
            when event_types.canonical_type is null then 'unknown_event_type'
            when distinct_rows.quantity <= 0 and event_types.canonical_type <> 'return' then 'non_positive_quantity'
        end as row_reason
    from distinct_rows
    left join user_keys
        on distinct_rows.user_id = user_keys.user_id
    left join event_types
        on distinct_rows.event_type = event_types.event_type
),

-- Only a user and day with many rows can be a bot's, only a minute with many rows a burst: count exactly only those.
busy_days as (
    select
        user_id,
        event_on
    from checked
    where row_reason is null
    group by user_id, event_on
    having sum(row_count) > {{ [var('max_events_per_minute'), var('max_events_per_day')] | min }}
),

busy_actions as (
    select
        checked.user_id,
        checked.event_on,
        date_trunc('minute', checked.event_at) as minute_at,
        case
            when checked.is_order_line
                then count(distinct (checked.event_at, coalesce(checked.session_id, '')))
            else sum(checked.row_count)
        end as actions
    from checked
    inner join busy_days
        on
            checked.user_id = busy_days.user_id
            and checked.event_on = busy_days.event_on
    where checked.row_reason is null
    group by
        checked.user_id, checked.event_on, date_trunc('minute', checked.event_at), checked.is_order_line
),

bot_days as (
    select
        user_id,
        event_on
    from busy_actions
    group by user_id, event_on
    having sum(actions) > {{ var('max_events_per_day') }}
),

bursts as (
    select
        user_id,
        minute_at
    from busy_actions
    group by user_id, minute_at
    having sum(actions) > {{ var('max_events_per_minute') }}
),

judged as (
    select
        checked.*,
        case
            when checked.row_reason is not null then checked.row_reason
            when bot_days.user_id is not null then 'bot'
            when bursts.user_id is not null then 'burst'
        end as rejection_reason
    from checked
    left join bot_days
        on
            checked.user_id = bot_days.user_id
            and checked.event_on = bot_days.event_on
    left join bursts
        on
            checked.user_id = bursts.user_id
            and date_trunc('minute', checked.event_at) = bursts.minute_at
),

prepared as (
    select
        user_key,
        item_id,
        canonical_type as event_type,
        event_type as raw_event_type,
        event_at,
        event_on,
        coalesce(event_on, date '0001-01-01') as partition_on,
        value,
        quantity,
        session_id,
        context,
        event_text,
        extras,
        row_count,
        rejection_reason
    from judged
),

{% if is_incremental() %}
    current_days as (
        select prepared.*
        from prepared
        cross join window_start
        where
            prepared.event_on is null
            or window_start.starts_on is null
            or prepared.event_on >= window_start.starts_on
    ),

    too_late as (
        select
            prepared.* replace (
                date '0001-01-02' as partition_on,
                prepared.row_count - coalesce(stored.row_count, 0) as row_count,
                'too_late' as rejection_reason
            )
        from prepared
        inner join late_days
            on prepared.event_on = late_days.event_on
        left join stored
            on
                stored.partition_on <> date '0001-01-02'
                and prepared.event_on = stored.event_on
                and prepared.user_key is not distinct from stored.user_key
                and prepared.item_id is not distinct from stored.item_id
                and prepared.raw_event_type is not distinct from stored.raw_event_type
                and prepared.event_at = stored.event_at
                and prepared.value is not distinct from stored.value
                and prepared.quantity is not distinct from stored.quantity
                and prepared.session_id is not distinct from stored.session_id
                and prepared.context is not distinct from stored.context
                and prepared.event_text is not distinct from stored.event_text
                and prepared.extras is not distinct from stored.extras
        where prepared.row_count > coalesce(stored.row_count, 0)
    ),

    final as (
        select * from current_days
        union all
        select * from too_late
    )
{% else %}
    final as (
        select * from prepared
    )
{% endif %}

select * from final
