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

{#- The input is read several times on purpose: a narrow scan is far cheaper than holding all wide rows in memory. -#}
{%- set trimmed_rows %}
    select
        nullif(trim(user_id), '') as user_id,
        nullif(trim(item_id), '') as item_id,
        nullif(lower(trim(event_type)), '') as event_type,
        event_at,
        value,
        quantity,
        session_id,
        context,
        event_text,
        extras
    from {{ ref('input_events') }}
    where user_id is null or trim(user_id) not in (select erasures.user_id from {{ ref('stg_erasures') }} as erasures)
{%- endset %}

{%- set rows_to_read %}
    {%- if is_incremental() %}
    select trimmed_rows.*
    from ({{ trimmed_rows }}) as trimmed_rows
    cross join window_start
    where
        trimmed_rows.event_at is null
        or window_start.starts_on is null
        or cast(trimmed_rows.event_at as date) >= window_start.starts_on
        or cast(trimmed_rows.event_at as date) in (select late_days.event_on from late_days)
    {%- else %}
        {{ trimmed_rows }}
    {%- endif %}
{%- endset %}

with event_types as (
    select * from {{ ref('stg_event_types') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
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

    -- Days before the window that hold more raw rows than were read: something arrived too late.
    late_days as (
        select raw_days.event_on
        from (
            select
                cast(trimmed_rows.event_at as date) as event_on,
                count(*) as row_count
            from ({{ trimmed_rows }}) as trimmed_rows
            cross join window_start
            where cast(trimmed_rows.event_at as date) < window_start.starts_on
            group by cast(trimmed_rows.event_at as date)
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
{% endif %}

-- Identical rows become one with a count. Only rows whose hash occurs twice can have a copy, so only they are grouped.
repeated_hashes as (
    select {{ row_hash(columns) }} as row_hash
    from ({{ rows_to_read }}) as rows_to_read
    group by {{ row_hash(columns) }}
    having count(*) > 1
),

distinct_rows as (
    select
        {{ columns | join(',\n        ') }},
        1 as row_count
    from ({{ rows_to_read }}) as rows_to_read
    where {{ row_hash(columns) }} not in (select repeated_hashes.row_hash from repeated_hashes)
    union all
    select
        {{ columns | join(',\n        ') }},
        count(*) as row_count
    from ({{ rows_to_read }}) as rows_to_read
    where {{ row_hash(columns) }} in (select repeated_hashes.row_hash from repeated_hashes)
    group by
        {{ columns | join(',\n        ') }}
),

-- Only a user and day with many rows can be a bot's, only a minute with many rows a burst: count exactly only those.
busy_days as (
    select
        user_id,
        cast(event_at as date) as event_on
    from ({{ rows_to_read }}) as rows_to_read
    where user_id is not null and event_at is not null
    group by user_id, cast(event_at as date)
    having count(*) > {{ [var('max_events_per_minute'), var('max_events_per_day')] | min }}
),

busy_actions as (
    select
        rows_to_read.user_id,
        busy_days.event_on,
        date_trunc('minute', rows_to_read.event_at) as minute_at,
        case
            when event_types.is_order_line
                then count(distinct rows_to_read.event_at || coalesce(rows_to_read.session_id, ''))
            else count(*)
        end as actions
    from ({{ rows_to_read }}) as rows_to_read
    inner join busy_days
        on
            rows_to_read.user_id = busy_days.user_id
            and cast(rows_to_read.event_at as date) = busy_days.event_on
    inner join event_types
        on rows_to_read.event_type = event_types.event_type
    where {{ invalid_event_reason('rows_to_read', 'event_types') }} is null
    group by
        rows_to_read.user_id, busy_days.event_on, date_trunc('minute', rows_to_read.event_at), event_types.is_order_line
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

prepared as (
    select
        user_keys.user_key,
        distinct_rows.item_id,
        event_types.canonical_type as event_type,
        distinct_rows.event_type as raw_event_type,
        distinct_rows.event_at,
        cast(distinct_rows.event_at as date) as event_on,
        coalesce(cast(distinct_rows.event_at as date), date '0001-01-01') as partition_on,
        distinct_rows.value,
        distinct_rows.quantity,
        distinct_rows.session_id,
        distinct_rows.context,
        distinct_rows.event_text,
        distinct_rows.extras,
        distinct_rows.row_count,
        coalesce(
            {{ invalid_event_reason('distinct_rows', 'event_types') }},
            case
                when bot_days.user_id is not null then 'bot'
                when bursts.user_id is not null then 'burst'
            end
        ) as rejection_reason
    from distinct_rows
    left join user_keys
        on distinct_rows.user_id = user_keys.user_id
    left join event_types
        on distinct_rows.event_type = event_types.event_type
    left join bot_days
        on
            distinct_rows.user_id = bot_days.user_id
            and cast(distinct_rows.event_at as date) = bot_days.event_on
    left join bursts
        on
            distinct_rows.user_id = bursts.user_id
            and date_trunc('minute', distinct_rows.event_at) = bursts.minute_at
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
