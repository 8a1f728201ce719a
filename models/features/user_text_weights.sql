with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

item_text_keys as (
    select * from {{ ref('item_text_keys') }}
),

item_texts as (
    select * from {{ ref('item_texts') }}
),

final as (
    select
        matrix_users.user_index,
        item_texts.text_index,
        cast({{ stable_sum('affinity.affinity') }} as float) as weight
    from affinity
    inner join matrix_users
        on affinity.user_key = matrix_users.user_key
    inner join item_text_keys
        on affinity.item_id = item_text_keys.item_id
    inner join item_texts
        on item_text_keys.text_key = item_texts.text_key
    where affinity.affinity > 0
    group by matrix_users.user_index, item_texts.text_index
)

select * from final
