-- Fails when a raw row has a type that seeds/event_types.csv does not know and rejected_events does not report it.
-- Rows that are rejected for an earlier reason count for that reason, so only complete rows are compared.
with unknown as (
    select lower(trim(input.event_type)) as event_type
    from {{ ref('input_events') }} as input
    left join {{ ref('stg_event_types') }} as event_types
        on lower(trim(input.event_type)) = event_types.event_type
    where event_types.event_type is null
),

reported as (
    select distinct coalesce(raw_event_type, '') as event_type
    from {{ ref('rejected_events') }}
)

select distinct unknown.event_type
from unknown
where coalesce(unknown.event_type, '') not in (select reported.event_type from reported)
