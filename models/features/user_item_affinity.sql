with events as (
    select * from {{ ref('events') }}
),

weighted as (
    select
        *,
        {{ decay('age_days', var('affinity_half_life_days')) }} as decay_weight,
        {{ decay('age_days', var('popularity_half_life_days')) }} as recent_weight
    from events
),

summed as (
    select
        user_key,
        item_id,
        sum(preference * decay_weight) as decayed_preference,
        sum(case when preference > 0 then decay_weight else 0 end) as decayed_events,
        sum(case when preference > 0 then recent_weight else 0 end) as recent_events,
        count(*) as events,
        count(*) filter (where preference > 0) as positive_events,
        {{ stable_sum('coalesce(quantity, 0)', 4) }} as quantity,
        {{ stable_sum('amount', 4) }} as amount,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at,
        max(case when preference > 0 then event_at end) as last_positive_event_at
    from weighted
    group by user_key, item_id
),

final as (
    select
        user_key,
        item_id,
        round({{ damp('decayed_preference') }}, 6) as affinity,
        round(decayed_events, 6) as decayed_events,
        round(recent_events, 6) as recent_events,
        events,
        positive_events,
        quantity,
        amount,
        first_event_at,
        last_event_at,
        last_positive_event_at,
        cast(first_event_at as date) < cast(last_event_at as date) as is_repeated
    from summed
)

select * from final
