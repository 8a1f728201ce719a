with item_text_keys as (
    select * from {{ ref('item_text_keys') }}
),

final as (
    select
        cast(row_number() over (order by text_key) - 1 as integer) as text_index,
        text_key,
        min(text) as text,
        count(*) as items
    from item_text_keys
    group by text_key
)

select * from final
