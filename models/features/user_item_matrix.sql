with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

final as (
    select
        matrix_users.user_index,
        matrix_items.item_index,
        cast(affinity.affinity as float) as affinity,
        cast(affinity.decayed_events as float) as decayed_events,
        cast(affinity.positive_events as integer) as events
    from affinity
    inner join matrix_users
        on affinity.user_key = matrix_users.user_key
    inner join matrix_items
        on affinity.item_id = matrix_items.item_id
    where affinity.affinity > 0
)

select * from final
