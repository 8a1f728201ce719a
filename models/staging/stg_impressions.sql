with impressions as (
    select * from {{ ref('input_impressions') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
),

final as (
    select
        impressions.impression_id,
        user_keys.user_key,
        impressions.item_id,
        impressions.shown_at,
        impressions.shown_until,
        impressions.placement,
        impressions.strategy,
        impressions.variant,
        impressions.position
    from impressions
    inner join user_keys
        on trim(impressions.user_id) = user_keys.user_id
)

select * from final
