with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

eligible as (
    select user_key
    from affinity
    where affinity > 0
    group by user_key
    having sum(positive_events) >= {{ var('min_user_events') }}
),

final as (
    select
        cast(row_number() over (order by user_key) - 1 as integer) as user_index,
        user_key
    from eligible
)

select * from final
