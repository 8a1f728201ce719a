{{ config(materialized='view') }}

-- A view: money is added exactly, as decimals, and the few that read it need it once.
with events as (
    select * from {{ ref('events') }}
),

final as (
    select
        user_key,
        event_on,
        count(*) as events,
        {{ order_count() }} as orders,
        {{ spend() }} as spend
    from events
    group by user_key, event_on
)

select * from final
