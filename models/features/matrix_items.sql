with item_stats as (
    select * from {{ ref('item_stats') }}
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

support as (
    select {{ least_item_users('count(*)') }} as min_users
    from matrix_users
),

ranked as (
    select
        item_stats.item_id,
        item_stats.users,
        row_number() over (order by item_stats.users desc, item_stats.item_id asc) - 1 as item_index
    from item_stats
    cross join support
    where item_stats.users > 0 and item_stats.users >= support.min_users
),

final as (
    select
        cast(ranked.item_index as integer) as item_index,
        ranked.item_id,
        item_texts.text_index,
        ranked.users
    from ranked
    left join item_text_keys
        on ranked.item_id = item_text_keys.item_id
    left join item_texts
        on item_text_keys.text_key = item_texts.text_key
    where ranked.item_index < {{ var('max_matrix_items') }}
)

select * from final
