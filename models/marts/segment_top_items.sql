with segment_items as (
    select * from {{ ref('segment_items') }}
    where list = 'distinctive'
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

final as (
    select
        cast(segment_items.segmentation as string) as segmentation,
        cast(segment_items.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(segment_items.rank as integer) as rank,
        cast(segment_items.item_id as string) as item_id,
        cast(item_stats.title as string) as title,
        cast(item_stats.category as string) as category,
        cast(segment_items.users as bigint) as users,
        cast(segment_items.share as double) as share,
        cast(segment_items.lift as double) as lift
    from segment_items
    inner join item_stats
        on segment_items.item_id = item_stats.item_id
    inner join labels
        on segment_items.segment_id = labels.segment_id
    where segment_items.rank <= {{ var('segment_top_n') }}
)

select * from final
