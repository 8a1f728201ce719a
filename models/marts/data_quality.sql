with balance as (
    select * from {{ ref('event_balance') }}
),

totals as (
    select
        sum(case when line in ('raw', 'no_longer_in_input') then row_count else 0 end) as raw_rows,
        sum(case when line in ('clean', 'rejected') then row_count else 0 end) as accounted_rows
    from balance
),

event_lines as (
    select
        case
            when line = 'rejected' then 'rejected_' || reason
            when line = 'capped' then 'capped_' || reason
            else line || '_events'
        end as check_name,
        line,
        reason,
        row_count,
        true as is_ok
    from balance
),

balance_line as (
    select
        'raw_is_clean_plus_rejected' as check_name,
        'balance' as line,
        cast(null as string) as reason,
        raw_rows - accounted_rows as row_count,
        raw_rows = accounted_rows as is_ok
    from totals
),

combined as (
    select * from event_lines
    union all
    select * from balance_line
),

final as (
    select
        cast(combined.check_name as string) as check_name,
        cast(combined.line as string) as line,
        cast(combined.reason as string) as reason,
        cast(combined.row_count as bigint) as row_count,
        cast(round(combined.row_count / nullif(cast(totals.raw_rows as double), 0), 6) as double) as share,
        cast(combined.is_ok as boolean) as is_ok
    from combined
    cross join totals
)

select * from final
