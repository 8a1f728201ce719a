{%- set attributes = ['age_band', 'gender', 'region', 'occupation', 'income_band', 'household'] %}
{%- set new_days = var('feature_windows_days') | max %}

with users as (
    select * from {{ ref('user_attributes') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

category_affinity as (
    select * from {{ ref('user_category_affinity') }}
),

interests as (
    select * from {{ ref('user_interests') }}
    where interest_rank = 1
),

segments as (
    select * from {{ ref('user_segments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

wall as (
    select * from {{ ref('wall') }}
),

-- Fifths of all users, whatever population and cuts a segmentation by RFM may have; equal values get equal scores.
scores as (
    select
        user_key,
        cast(ceil(5 * cume_dist() over (order by recency_days desc)) as integer) as recency_score,
        cast(ceil(5 * cume_dist() over (order by frequency_days)) as integer) as frequency_score,
        cast(ceil(5 * cume_dist() over (order by monetary_amount)) as integer) as monetary_score
    from user_features
),

ranked_categories as (
    select
        user_key,
        category,
        row_number() over (partition by user_key order by decayed_events desc, category asc) as position
    from category_affinity
),

categories as (
    select
        user_key,
        max(case when position = 1 then category end) as first_category,
        max(case when position = 2 then category end) as second_category,
        max(case when position = 3 then category end) as third_category
    from ranked_categories
    where position <= 3
    group by user_key
),

strongest_interests as (
    select
        user_key,
        max(case when horizon = 'long' then title end) as long_interest,
        max(case when horizon = 'short' then title end) as short_interest
    from interests
    group by user_key
),

final as (
    select
        cast(users.user_key as string) as user_key,
        {% for attribute in attributes %}
            cast(users.{{ attribute }} as string) as {{ attribute }},
        {% endfor %}
        cast(users.signed_up_at as timestamp) as signed_up_at,
        cast(users.first_event_at as timestamp) as first_event_at,
        cast(users.last_event_at as timestamp) as last_event_at,
        cast(users.events as bigint) as events,
        cast(user_features.frequency_days as bigint) as active_days,
        cast(user_features.recency_days as double) as recency_days,
        cast(user_features.mean_gap_days as double) as mean_gap_days,
        cast(user_features.monetary_amount as double) as amount,
        cast(user_features.basket_amount as double) as basket_amount,
        cast(scores.recency_score as integer) as recency_score,
        cast(scores.frequency_score as integer) as frequency_score,
        cast(scores.monetary_score as integer) as monetary_score,
        cast(categories.first_category as string) as first_category,
        cast(categories.second_category as string) as second_category,
        cast(categories.third_category as string) as third_category,
        cast(strongest_interests.long_interest as string) as long_interest,
        cast(strongest_interests.short_interest as string) as short_interest,
        cast(segments.segment_id as string) as segment_id,
        cast(segments.segment_name as string) as segment_name,
        cast(coalesce(
            {{ epoch_seconds('wall.as_of') }}
            - {{ epoch_seconds('coalesce(users.signed_up_at, users.first_event_at)') }}
            < {{ new_days }} * 86400.0e0,
            false
        ) as boolean) as is_new,
        -- After days at random, one silence in twenty is so long.
        cast(coalesce(
            user_features.frequency_days >= 3 and user_features.recency_days > 3 * user_features.mean_gap_days, false
        ) as boolean) as is_at_risk,
        cast(users.has_consent as boolean) as has_consent,
        cast(wall.as_of as timestamp) as as_of
    from users
    cross join wall
    left join user_features
        on users.user_key = user_features.user_key
    left join scores
        on users.user_key = scores.user_key
    left join categories
        on users.user_key = categories.user_key
    left join strongest_interests
        on users.user_key = strongest_interests.user_key
    left join segments
        on users.user_key = segments.user_key
)

select * from final
