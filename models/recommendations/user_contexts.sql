{{ config(materialized=stored_if_used('context')) }}

with events as (
    select * from {{ ref('events') }}
),

summed as (
    select
        user_key,
        context,
        {{ stable_sum('round(' ~ decay('age_days', var('affinity_half_life_days')) ~ ', 6)') }} as decayed_events
    from events
    where preference > 0 and context is not null
    group by user_key, context
),

final as (
    select
        user_key,
        max_by(context, (decayed_events, context)) as context,
        round(max(decayed_events) / sum(decayed_events), 6) as share
    from summed
    where decayed_events > 0
    group by user_key
)

select * from final
