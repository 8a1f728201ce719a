-- The user-item matrix at both walls, in positions of matrix_users and matrix_items.
with pairs as (
    select * from {{ ref('ranking_pairs') }}
),

users as (
    select
        attributes.user_number,
        matrix_users.user_index
    from {{ ref('user_attributes') }} as attributes
    inner join {{ ref('matrix_users') }} as matrix_users
        on attributes.user_key = matrix_users.user_key
),

items as (
    select
        item_stats.item_number,
        matrix_items.item_index
    from {{ ref('item_stats') }} as item_stats
    inner join {{ ref('matrix_items') }} as matrix_items
        on item_stats.item_id = matrix_items.item_id
),

final as (
    select
        pairs.wall_number,
        users.user_index,
        items.item_index,
        cast(ln(1 + pairs.decayed_120) as float) as affinity
    from pairs
    inner join users
        on pairs.user_number = users.user_number
    inner join items
        on pairs.item_number = items.item_number
    where pairs.decayed_120 > 0
)

select * from final
