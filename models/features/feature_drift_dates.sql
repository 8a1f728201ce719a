{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}'
    )
}}

with wall as (
    select * from {{ ref('wall') }}
),

plans as (
    select * from {{ ref('learning_plan') }}
),

feature_dates as (
    select * from {{ ref('feature_dates') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

plan as (
    select
        plans.as_of,
        plans.reference_as_of
    from plans
    inner join wall
        on plans.as_of = wall.as_of
),

reference_bins as (
    select feature_dates.*
    from feature_dates
    inner join plan
        on feature_dates.as_of = plan.reference_as_of
),

feature_values as (
    {{ watched_feature_values('user_features') }}
),

feature_drift as (
    {{ feature_stability('reference_bins', 'feature_values') }}
),

final as (
    select
        plan.as_of,
        plan.reference_as_of,
        feature_drift.feature,
        feature_drift.users,
        feature_drift.reference_users,
        cast(feature_drift.psi as double) as psi,
        cast(feature_drift.psi_by_chance as double) as psi_by_chance
    from feature_drift
    cross join plan
)

select * from final
