{%- set newest = "date_trunc('second', max(event_at)) + interval '1' second" -%}
{%- set stated = "coalesce(cast('" ~ var('as_of') ~ "' as timestamp), max(event_at))" -%}
with events as (
    select * from {{ ref('stg_events') }}
),

-- One row, whatever the number of events: the aggregate stays when the setting gives the time.
final as (
    select {{ stated if var('as_of') else newest }} as as_of
    from events
)

select * from final
where as_of is not null
