with user_features as (
    select * from {{ ref('user_features') }}
),

cells as (
    select * from {{ ref('rfm_cells') }}
),

-- Equal values get equal scores: cume_dist, not ntile.
scored as (
    select
        user_key,
        recency_days,
        frequency_days,
        monetary_amount,
        cast(ceil(5 * cume_dist() over (order by recency_days desc)) as integer) as recency_score,
        cast(ceil(5 * cume_dist() over (order by frequency_days)) as integer) as frequency_score,
        cast(ceil(5 * cume_dist() over (order by monetary_amount)) as integer) as monetary_score
    from user_features
),

valued as (
    select
        *,
        cast(floor((frequency_score + monetary_score + 1) / 2.0e0) as integer) as value_score
    from scored
),

final as (
    select
        valued.user_key,
        cells.segment_code,
        cells.segment_name,
        valued.recency_score,
        valued.frequency_score,
        valued.monetary_score,
        'Last active ' || cast(floor(valued.recency_days) as integer) || ' days ago (score ' || valued.recency_score
        || '), ' || cast(valued.frequency_days as integer) || ' active days (score ' || valued.frequency_score
        || '), amount ' || cast(floor(valued.monetary_amount) as integer) || ' (score ' || valued.monetary_score || ')'
            as reason
    from valued
    inner join cells
        on
            valued.recency_score = cells.recency_score
            and valued.value_score = cells.value_score
)

select * from final
