{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail'
    )
}}

-- Caps are frozen until the next full refresh, so that old and new events are cut at the same height.
with events as (
    select * from {{ ref('input_events') }}
),

event_types as (
    select * from {{ ref('stg_event_types') }}
),

final as (
    select
        event_types.canonical_type as event_type,
        {{ var('outlier_value_factor') }}
        * percentile_cont(0.99) within group (order by abs(events.value)) as value_cap
    from events
    inner join event_types
        on lower(trim(events.event_type)) = event_types.event_type
    where
        events.value <> 0
        and event_types.value_kind in ('amount', 'seconds')
    {% if var('as_of') %}
            and events.event_at < cast('{{ var("as_of") }}' as timestamp)
        {% endif %}
    group by event_types.canonical_type
)

select final.*
from final
{% if is_incremental() %}
    where final.event_type not in (select this.event_type from {{ this }} as this)
{% endif %}
