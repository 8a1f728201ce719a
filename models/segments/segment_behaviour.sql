{%- set window = var('feature_windows_days') | max %}
{%- set measures = {
    'active_days': 'active_days_' ~ window ~ '_days',
    'amount': 'amount_' ~ window ~ '_days',
    'basket_items': 'basket_items',
    'basket_amount': 'basket_amount',
} %}

with feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

-- The four hours of the day that the segment prefers most.
preferred_hours as (
    select
        segment_id,
        feature,
        mean,
        overall_mean,
        row_number() over (partition by segment_id order by standardised_difference desc, feature asc) as position
    from feature_stats
    where feature like 'hour_%' and standardised_difference >= 0.2
),

hours as (
    select
        segment_id,
        case feature
            {% for first_hour in range(0, 24, 4) %}
                when '{{ hour_share_name(first_hour) }}' then {{ hour_label(first_hour) }}
            {% endfor %}
        end as hours,
        mean as hours_share,
        overall_mean as overall_hours_share
    from preferred_hours
    where position = 1
),

figures as (
    select
        segment_id,
        {% for name, feature in measures.items() %}
            max(case when feature = '{{ feature }}' then mean end) as {{ name }},
            max(case when feature = '{{ feature }}' then overall_mean end) as overall_{{ name }},
        {% endfor %}
        round(sum(case when feature in ('saturday_share', 'sunday_share') then mean end), 4) as weekend_share,
        round(sum(case when feature in ('saturday_share', 'sunday_share') then overall_mean end), 4)
            as overall_weekend_share,
        cast(max(case when feature = 'recency_days' then ceil(median) end) as integer) as recency_days,
        max(users) as users
    from feature_stats
    group by segment_id
),

final as (
    select
        figures.segment_id,
        figures.users,
        {{ window }} as window_days,
        {% for name in measures %}
            figures.{{ name }},
            figures.overall_{{ name }},
        {% endfor %}
        figures.weekend_share,
        figures.overall_weekend_share,
        figures.recency_days,
        hours.hours,
        hours.hours_share,
        hours.overall_hours_share
    from figures
    left join hours
        on figures.segment_id = hours.segment_id
)

select * from final
