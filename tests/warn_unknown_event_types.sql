-- Warns, with a row per type, when the input has behaviour types that seeds/event_types.csv does not know: their
-- rows are rejected until the seed has a line for them. A warning, because a new type upstream should not stop a run.
{{ config(severity='warn') }}

select
    raw_event_type,
    sum(rejected_rows) as rejected_rows
from {{ ref('rejected_events') }}
where rejection_reason = 'unknown_event_type'
group by raw_event_type
