-- Fails when a raw row has a type that seeds/event_types.csv does not know and rejected_events does not report it.
-- Rows that are rejected for an earlier reason count for that reason, so only complete rows are compared.
with unlisted as (
    select lower(trim(raw_events.event_type)) as event_type
    from {{ ref('input_events') }} as raw_events
    left join {{ ref('stg_event_types') }} as event_types
        on lower(trim(raw_events.event_type)) = event_types.event_type
    where event_types.event_type is null
),

reported as (
    select distinct coalesce(raw_event_type, '') as event_type
    from {{ ref('rejected_events') }}
)

select distinct unlisted.event_type
from unlisted
where coalesce(unlisted.event_type, '') not in (select reported.event_type from reported)
