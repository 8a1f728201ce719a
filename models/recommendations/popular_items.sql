with item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select
        item_id,
        cast(row_number() over (order by decayed_popularity desc, users desc, item_id asc) as integer) as rank,
        decayed_popularity,
        users
    from item_stats
    where is_active and decayed_popularity > 0
    qualify rank <= {{ [var('segment_top_n'), var('candidates_per_source')] | max }}
)

select * from final
