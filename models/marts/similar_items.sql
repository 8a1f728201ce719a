with neighbours as (
    select * from {{ ref('item_neighbours') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select
        cast(neighbours.item_id as string) as item_id,
        cast(item_stats.title as string) as title,
        cast(neighbours.rank as integer) as rank,
        cast(neighbours.similar_item_id as string) as similar_item_id,
        cast(similar_stats.title as string) as similar_title,
        cast(neighbours.score as double) as score,
        cast(neighbours.together_users as bigint) as together_users,
        cast(neighbours.lift as double) as lift
    from neighbours
    inner join item_stats
        on neighbours.item_id = item_stats.item_id
    inner join item_stats as similar_stats
        on neighbours.similar_item_id = similar_stats.item_id
)

select * from final
