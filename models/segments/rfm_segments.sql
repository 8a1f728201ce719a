{%- set scores = {
    'days': 'cast(floor(valued.recency_days) as integer)',
    'recency_score': 'valued.recency_score',
    'active_days': 'cast(valued.frequency_days as integer)',
    'frequency_score': 'valued.frequency_score',
    'amount': 'cast(floor(valued.monetary_amount) as integer)',
    'monetary_score': 'valued.monetary_score',
} %}

with segmentation_users as (
    select * from {{ ref('segmentation_users') }}
    where {{ is_made_by('rfm') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

cells as (
    select * from {{ ref('rfm_cells') }}
),

users as (
    select
        segmentation_users.segmentation,
        user_features.user_key,
        user_features.recency_days,
        user_features.frequency_days,
        user_features.monetary_amount
    from segmentation_users
    inner join user_features
        on segmentation_users.user_key = user_features.user_key
),

scored as (
    select
        *,
        {{ rfm_score('recency_days', is_less_better=true) }} as recency_score,
        {{ rfm_score('frequency_days') }} as frequency_score,
        {{ rfm_score('monetary_amount') }} as monetary_score
    from users
),

valued as (
    select
        *,
        cast(floor((frequency_score + monetary_score + 1) / 2.0e0) as integer) as value_score
    from scored
),

final as (
    select
        valued.segmentation,
        valued.user_key,
        coalesce(cells.segment_code, 'unassigned') as segment_code,
        {{ seed_name('cells.segment_name') }} as segment_name,
        valued.recency_score,
        valued.frequency_score,
        valued.monetary_score,
        case
            when cells.segment_code is null then {{ phrase('reason_rfm_no_cell', scores) }}
            else {{ phrase('reason_rfm', scores) }}
        end as reason
    from valued
    left join cells
        on
            valued.recency_score = cells.recency_score
            and valued.value_score = cells.value_score
)

select * from final
