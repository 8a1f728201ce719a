{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}',
        post_hook="delete from {{ this }} where as_of not in (select as_of from {{ ref('segment_size_dates') }})"
    )
}}

with feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

wall as (
    select * from {{ ref('wall') }}
),

-- A mean over very few users would tell of them for as long as the table stands.
final as (
    select
        wall.as_of,
        feature_stats.segmentation,
        feature_stats.segment_id,
        feature_stats.feature,
        feature_stats.users,
        feature_stats.mean,
        feature_stats.overall_spread
    from feature_stats
    cross join wall
    where
        feature_stats.users >= {{ var('min_users_per_cell') }}
        and feature_stats.feature in (
            {% for feature in watched_features() %}
                '{{ feature }}'{{ "," if not loop.last }}
            {% endfor %}
        )
)

select * from final
