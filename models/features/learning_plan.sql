{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}'
    )
}}
{%- set policy = var('retrain_when') %}
{%- set bounds = policy if policy is mapping else {} %}
{%- set never = '; retrain_when is never' if policy == 'never' else '' %}

with wall as (
    select * from {{ ref('wall') }}
),

user_attributes as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

feature_dates as (
    select * from {{ ref('feature_dates') }}
),

earlier_plans as (
    {% if is_incremental() %}
        select
            plan.as_of,
            plan.fitted_as_of
        from {{ this }} as plan
        cross join wall
        where plan.as_of < wall.as_of
    {% else %}
        select
            as_of,
            as_of as fitted_as_of
        from wall
        where false
    {% endif %}
),

-- The wall whose models the last build used; null when there was none.
reference as (
    select max_by(fitted_as_of, as_of) as reference_as_of
    from earlier_plans
),

users as (
    select
        count(*) as users,
        count(*) filter (where user_attributes.first_event_at >= reference.reference_as_of) as new_users
    from user_attributes
    cross join reference
    where user_attributes.events > 0
),

items as (
    select
        {{ stable_sum('item_stats.decayed_popularity') }} as popularity,
        {{ stable_sum('case when item_stats.first_event_at >= reference.reference_as_of '
            'then item_stats.decayed_popularity else 0 end') }} as new_popularity
    from item_stats
    cross join reference
),

feature_values as (
    {{ watched_feature_values('user_features') }}
),

reference_bins as (
    select feature_dates.*
    from feature_dates
    inner join reference
        on feature_dates.as_of = reference.reference_as_of
),

feature_drift as (
    {{ feature_stability('reference_bins', 'feature_values') }}
),

-- What chance alone makes of so few users is no reason to train.
largest_drift as (
    select
        feature as max_psi_feature,
        psi as max_psi
    from feature_drift
    where psi > psi_by_chance
    qualify row_number() over (order by psi desc, feature asc) = 1
),

measured as (
    select
        wall.as_of,
        reference.reference_as_of,
        users.users,
        round(({{ epoch_seconds('wall.as_of') }} - {{ epoch_seconds('reference.reference_as_of') }}) / 86400.0e0, 6)
            as age_days,
        largest_drift.max_psi,
        largest_drift.max_psi_feature,
        case
            when reference.reference_as_of is not null
                then round(users.new_users / nullif(cast(users.users as double), 0), 6)
        end as new_user_share,
        case
            when reference.reference_as_of is not null
                then round(items.new_popularity / nullif(items.popularity, 0), 6)
        end as new_item_share
    from wall
    cross join reference
    cross join users
    cross join items
    left join largest_drift
        on reference.reference_as_of is not null
),

judged as (
    select
        *,
        {% if policy == 'always' %}
            'retrain_when is always'
        {% elif policy == 'never' %}
            cast(null as string)
        {% else %}
            nullif(concat_ws(
                ', ',
                {% if bounds.max_age_days is number %}
                    case
                        when age_days > {{ bounds.max_age_days }}
                            then
                                'the models are ' || round(age_days, 1)
                                || ' days old (bound {{ bounds.max_age_days }})'
                    end,
                {% endif %}
                {% if bounds.psi is number %}
                    case
                        when max_psi > {{ bounds.psi }}
                            then
                                'PSI of ' || max_psi_feature || ' is ' || round(max_psi, 2)
                                || ' (bound {{ bounds.psi }})'
                    end,
                {% endif %}
                {% if bounds.new_user_share is number %}
                    case
                        when new_user_share > {{ bounds.new_user_share }}
                            then
                                round(100 * new_user_share, 1) || ' % of the users are new '
                                || '(bound {{ 100 * bounds.new_user_share }} %)'
                    end,
                {% endif %}
                {% if bounds.new_item_share is number %}
                    case
                        when new_item_share > {{ bounds.new_item_share }}
                            then
                                round(100 * new_item_share, 1) || ' % of recent events are with new items '
                                || '(bound {{ 100 * bounds.new_item_share }} %)'
                    end,
                {% endif %}
                cast(null as string)
            ), '')
        {% endif %} as breach
    from measured
),

final as (
    select
        as_of,
        case when reference_as_of is null or users < 2 or breach is not null then 'train' else 'keep' end as decision,
        case
            when reference_as_of is null then 'Train: nothing earlier is known.'
            when users < 2 then 'Train: fewer than two users have events.'
            when breach is not null then 'Train: ' || breach || '.'
            else
                'Keep: the models are ' || round(age_days, 1) || ' days old, the largest PSI is '
                || coalesce(round(max_psi, 2) || ' (' || max_psi_feature || ')', 'no more than chance') || ', '
                || coalesce(round(100 * new_user_share, 1), 0) || ' % of the users are new, '
                || coalesce(round(100 * new_item_share, 1), 0) || ' % of recent events are with new items'
                || '{{ never }}.'
        end as reason,
        case when reference_as_of is null or users < 2 or breach is not null then as_of else reference_as_of end
            as fitted_as_of,
        reference_as_of,
        cast(age_days as double) as age_days,
        cast(max_psi as double) as max_psi,
        cast(max_psi_feature as string) as max_psi_feature,
        cast(new_user_share as double) as new_user_share,
        cast(new_item_share as double) as new_item_share,
        cast(users as bigint) as users
    from judged
)

select * from final
