-- Where each raw row went. The raw rows are counted in the input, not derived from what staging kept.
with input as (
    select * from {{ ref('input_events') }}
),

checked as (
    select * from {{ ref('stg_events_checked') }}
),

rejected as (
    select * from {{ ref('rejected_events') }}
),

events as (
    select * from {{ ref('stg_events') }}
),

erasures as (
    select * from {{ ref('stg_erasures') }}
),

raw_rows as (
    select
        count(*) as row_count,
        count(*) filter (where trim(user_id) in (select erasures.user_id from erasures)) as erased_rows,
        min(cast(event_at as date)) as starts_on
    from input
),

-- Logs that have been rotated away stay in the warehouse until a full refresh.
kept_rows as (
    select coalesce(sum(checked.row_count), 0) as row_count
    from checked
    cross join raw_rows
    where checked.event_on < raw_rows.starts_on
),

lines as (
    select
        'raw' as line,
        cast(null as string) as reason,
        row_count
    from raw_rows
    union all
    select
        'no_longer_in_input' as line,
        cast(null as string) as reason,
        row_count
    from kept_rows
    union all
    select
        'clean' as line,
        cast(null as string) as reason,
        count(*) as row_count
    from events
    union all
    select
        'rejected' as line,
        rejection_reason as reason,
        sum(rejected_rows) as row_count
    from rejected
    group by rejection_reason
    union all
    select
        'rejected' as line,
        'erased_user' as reason,
        erased_rows as row_count
    from raw_rows
    where erased_rows > 0
    union all
    select
        'capped' as line,
        'outlier_value' as reason,
        count(*) as row_count
    from events
    where is_value_capped
),

final as (
    select
        line,
        reason,
        cast(row_count as bigint) as row_count
    from lines
)

select * from final
