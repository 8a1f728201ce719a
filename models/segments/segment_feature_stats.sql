{%- set features = user_feature_definitions() %}

with assignments as (
    select * from {{ ref('segment_assignments') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

by_segment as (
    select
        assignments.segmentation,
        assignments.segment_id,
        {% for feature in features %}
            {{ stable_mean('user_features.' ~ feature.name) }} as {{ feature.name }}_mean,
            median(user_features.{{ feature.name }}) as {{ feature.name }}_median,
            coalesce(stddev_samp(user_features.{{ feature.name }}), 0) as {{ feature.name }}_spread,
        {% endfor %}
        count(*) as users
    from user_features
    inner join assignments
        on user_features.user_key = assignments.user_key
    group by assignments.segmentation, assignments.segment_id
),

overall as (
    select
        {% for feature in features %}
            {{ stable_mean(feature.name) }} as {{ feature.name }}_mean,
            stddev_samp({{ feature.name }}) as {{ feature.name }}_spread,
        {% endfor %}
        count(*) as users
    from user_features
),

long as (
    {% for feature in features %}
        select
            by_segment.segmentation,
            by_segment.segment_id,
            '{{ feature.name }}' as feature,
            by_segment.users,
            by_segment.{{ feature.name }}_mean as mean,
            by_segment.{{ feature.name }}_median as median,
            by_segment.{{ feature.name }}_spread as spread,
            overall.{{ feature.name }}_mean as overall_mean,
            overall.{{ feature.name }}_spread as overall_spread
        from by_segment
        cross join overall
        {{ "union all" if not loop.last }}
    {% endfor %}
),

rounded as (
    select
        segmentation,
        segment_id,
        feature,
        users,
        round(mean, 4) as mean,
        round(median, 4) as median,
        round(spread, 4) as spread,
        round(overall_mean, 4) as overall_mean,
        round(coalesce(overall_spread, 0), 4) as overall_spread,
        round(coalesce((mean - overall_mean) / nullif(overall_spread, 0), 0), 4) as standardised_difference
    from long
),

final as (
    select
        *,
        cast(row_number() over (
            partition by segment_id
            order by abs(standardised_difference) desc, feature asc
        ) as integer) as difference_rank
    from rounded
)

select * from final
