with user_ids as (
    select user_id from {{ ref('input_events') }}
    union
    select user_id from {{ ref('input_users') }}
    union
    select user_id from {{ ref('input_impressions') }}
    union
    select user_id from {{ ref('input_user_labels') }}
    union
    select user_id from {{ ref('input_user_relations') }}
    union
    select related_user_id as user_id from {{ ref('input_user_relations') }}
),

erasures as (
    select * from {{ ref('stg_erasures') }}
),

cleaned as (
    select distinct trim(user_id) as user_id
    from user_ids
    where trim(user_id) <> ''
),

final as (
    select
        cleaned.user_id,
        {{ pseudonym('cleaned.user_id') }} as user_key
    from cleaned
    where cleaned.user_id not in (select erasures.user_id from erasures)
)

select * from final
