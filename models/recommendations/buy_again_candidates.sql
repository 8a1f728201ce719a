{#- Weight of the item's interval beside the user's own: as if so many own repeats had shown it. -#}
{%- set prior_repeats = 3 %}
{%- set horizon_days = var('prediction_days') %}

with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

repeats as (
    select * from {{ ref('user_item_repeats') }}
),

wall as (
    select * from {{ ref('wall') }}
),

-- The user's own interval, pulled towards the item's; null where neither is known.
intervals as (
    select
        affinity.user_key,
        affinity.item_id,
        item_stats.item_number,
        affinity.decayed_events,
        affinity.recent_events,
        affinity.positive_events,
        affinity.last_positive_event_at,
        ({{ epoch_seconds('wall.as_of') }} - {{ epoch_seconds('affinity.last_positive_event_at') }}) / 86400.0e0
            as days_since,
        (
            coalesce(repeats.repeats * repeats.median_gap_days, 0)
            + coalesce({{ prior_repeats }} * item_stats.typical_repeat_days, 0)
        ) / nullif(
            coalesce(repeats.repeats, 0)
            + case when item_stats.typical_repeat_days is null then 0 else {{ prior_repeats }} end, 0
        ) as interval_days
    from affinity
    inner join item_stats
        on affinity.item_id = item_stats.item_id
    cross join wall
    left join repeats
        on
            affinity.user_key = repeats.user_key
            and affinity.item_id = repeats.item_id
    where affinity.affinity > 0 and item_stats.is_active
),

-- 1 while the next time is expected within the coming days and not overdue by more than one interval; 0 if unknown.
expected as (
    select
        *,
        case
            when interval_days is null then 0
            else
                exp(-greatest(0, interval_days - days_since - {{ horizon_days }}) / {{ horizon_days }}.0e0)
                * exp(-greatest(0, days_since / interval_days - 2) / 2.0e0)
        end as due
    from intervals
),

-- Habit leads; that an item is due moves it by a fifth at most.
scored as (
    select
        user_key,
        item_id,
        item_number,
        positive_events,
        last_positive_event_at,
        interval_days,
        round((ln(1 + decayed_events) + 0.3e0 * ln(1 + recent_events)) * (1 + 0.2e0 * due), 6) as score
    from expected
),

final as (
    select
        user_key,
        item_id,
        'buy_again' as source,
        score,
        true as is_repeat,
        'history' as evidence_kind,
        item_id as evidence_id,
        cast(positive_events as bigint) as evidence_count,
        round(interval_days, 1) as evidence_value
    from scored
    qualify row_number() over (
        partition by user_key
        order by score desc, last_positive_event_at desc, item_number asc
    ) <= {{ var('candidates_per_source') }}
)

select * from final
