with erasures as (
    select * from {{ ref('input_erasures') }}
),

final as (
    select distinct trim(user_id) as user_id
    from erasures
    where trim(user_id) <> ''
)

select * from final
