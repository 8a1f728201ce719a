{{ config(materialized=stored_if_learning()) }}

with pairs as (
    select * from {{ ref('ranking_pairs') }}
),

items as (
    select * from {{ ref('ranking_items') }}
),

final as (
    select
        pairs.wall_number,
        pairs.user_number,
        items.category,
        items.subcategory,
        round(sum(pairs.decayed_120), 5) as decayed,
        min(pairs.last_age_days) as last_age_days,
        count(*) as items
    from pairs
    inner join items
        on
            pairs.wall_number = items.wall_number
            and pairs.item_number = items.item_number
    where items.category is not null
    group by pairs.wall_number, pairs.user_number, items.category, items.subcategory
)

select * from final
