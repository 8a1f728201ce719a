-- The shape that this project exists for: segments joined with the statistics of items.
with segment_item_stats as (
    select * from {{ ref('segment_item_stats') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

publishable as (
    select segment_item_stats.*
    from segment_item_stats
    inner join item_stats
        on segment_item_stats.item_id = item_stats.item_id
    where
        item_stats.is_active
        -- Small cells could point at single users; in small data one user in a hundred of the segment is enough.
        and segment_item_stats.users >= least(
            {{ var('min_users_per_cell') }}, ceil(segment_item_stats.segment_users / 10.0e0)
        )
),

popular as (
    select
        segmentation,
        segment_id,
        'popular' as list,
        item_id,
        decayed_popularity as score,
        users,
        share,
        lift
    from publishable
    where decayed_popularity > 0
),

distinctive as (
    select
        segmentation,
        segment_id,
        'distinctive' as list,
        item_id,
        distinctiveness as score,
        users,
        share,
        lift
    from publishable
    where distinctiveness > 0
),

combined as (
    select * from popular
    union all
    select * from distinctive
),

final as (
    select
        segmentation,
        segment_id,
        list,
        cast(row_number() over (
            partition by segmentation, segment_id, list
            order by score desc, users desc, item_id asc
        ) as integer) as rank,
        item_id,
        score,
        users,
        share,
        lift
    from combined
    qualify rank <= {{ [var('segment_top_n'), var('candidates_per_source')] | max }}
)

select * from final
