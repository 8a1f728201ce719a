with user_labels as (
    select * from {{ ref('input_user_labels') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
),

final as (
    select distinct
        user_keys.user_key,
        trim(user_labels.label) as label
    from user_labels
    inner join user_keys
        on trim(user_labels.user_id) = user_keys.user_id
    where trim(user_labels.label) <> ''
)

select * from final
