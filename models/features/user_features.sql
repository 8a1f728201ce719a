{%- set features = user_feature_definitions() -%}

with events as (
    select * from {{ ref('events') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

category_affinity as (
    select * from {{ ref('user_category_affinity') }}
),

wall as (
    select * from {{ ref('wall') }}
),

-- Days first: every later sum then runs over far fewer rows than there are events.
user_days as (
    select
        user_key,
        event_on,
        min(age_days) as age_days,
        count(*) as events,
        count(*) filter (where preference < 0) as negative_events,
        {% for first_hour in range(0, 24, 4) %}
            count(*) filter (where extract(hour from event_at) between {{ first_hour }} and {{ first_hour + 3 }})
                as {{ hour_share_name(first_hour) | replace('_share', '_events') }},
        {% endfor %}
        {{ stable_sum('amount', 4) }} as amount
    from events
    group by user_key, event_on
),

activity as (
    select
        user_key,
        {% for days in var('feature_windows_days') %}
            sum(case when age_days < {{ days }} then events else 0 end) as events_{{ days }}_days,
            count(*) filter (where age_days < {{ days }}) as active_days_{{ days }}_days,
            {{ stable_sum('case when age_days < ' ~ days ~ ' then amount else 0 end', 4) }} as amount_{{ days }}_days,
        {% endfor %}
        min(age_days) as recency_days,
        max(age_days) as tenure_days,
        count(*) as frequency_days,
        {{ stable_sum('amount', 4) }} as monetary_amount,
        (max(age_days) - min(age_days)) / nullif(count(*) - 1, 0) as mean_gap_days,
        sum(events) / count(*) as basket_items,
        {{ stable_mean('amount', 4) }} as basket_amount,
        sum(negative_events) / sum(events) as negative_share,
        {% for first_hour in range(0, 24, 4) %}
            sum({{ hour_share_name(first_hour) | replace('_share', '_events') }}) / sum(events)
                as {{ hour_share_name(first_hour) }},
        {% endfor %}
        {% for weekday in weekday_names() %}
            sum(case when {{ iso_weekday('event_on') }} = {{ loop.index }} then events else 0 end) / sum(events)
                as {{ weekday }}_share,
        {% endfor %}
        sum(events) as events
    from user_days
    group by user_key
),

category_prices as (
    select
        category,
        {{ stable_mean('round(ln(price), 6)') }} as mean_log_price
    from item_stats
    where price > 0
    group by category
),

-- How dear an item is beside others of its category: 0 is the category's mean, 0.7 about twice as dear.
item_price_levels as (
    select
        item_stats.item_id,
        round(ln(item_stats.price) - category_prices.mean_log_price, 6) as price_level,
        1 as has_price
    from item_stats
    inner join category_prices
        on item_stats.category = category_prices.category
    where item_stats.price > 0
),

breadth as (
    select
        affinity.user_key,
        count(*) as items,
        count(*) filter (where affinity.is_repeated) / count(*) as repeat_item_share,
        {{ stable_sum('round(affinity.decayed_events * item_price_levels.price_level, 6)') }}
        / nullif({{ stable_sum('affinity.decayed_events * item_price_levels.has_price') }}, 0) as price_level
    from affinity
    left join item_price_levels
        on affinity.item_id = item_price_levels.item_id
    group by affinity.user_key
),

category_breadth as (
    select
        user_key,
        count(*) as categories
    from category_affinity
    group by user_key
),

raw_features as (
    select
        activity.* replace (coalesce(activity.mean_gap_days, activity.tenure_days) as mean_gap_days),
        breadth.items,
        breadth.repeat_item_share,
        coalesce(breadth.price_level, 0) as price_level,
        coalesce(category_breadth.categories, 0) as categories
    from activity
    inner join breadth
        on activity.user_key = breadth.user_key
    left join category_breadth
        on activity.user_key = category_breadth.user_key
),

statistics as (
    select
        {% for feature in features %}
            {{ normalisation_statistics(feature.name, feature.method) }},
        {% endfor %}
        count(*) as users
    from raw_features
),

final as (
    select
        raw_features.user_key,
        {% for feature in features %}
            cast(round(raw_features.{{ feature.name }}, 6) as double) as {{ feature.name }},
        {% endfor %}
        {% for feature in features %}
            {{ normalise(feature.name, feature.method, 'raw_features') }} as {{ feature.name }}_normalised,
        {% endfor %}
        wall.as_of
    from raw_features
    cross join statistics
    cross join wall
)

select * from final
