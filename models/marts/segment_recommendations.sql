with segment_items as (
    select * from {{ ref('segment_items') }}
),

popular_items as (
    select * from {{ ref('popular_items') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

user_counts as (
    select cast(count(*) as double) as users
    from {{ ref('user_attributes') }}
    where positive_events > 0
),

-- For a visitor about whom nothing is known.
everyone as (
    select
        'everyone' as segmentation,
        'everyone' as segment_id,
        {{ phrase('name_everyone') }} as segment_name,
        'popular' as list,
        popular_items.rank,
        popular_items.item_id,
        popular_items.decayed_popularity as score,
        popular_items.users,
        popular_items.users / user_counts.users as share,
        1.0e0 as lift
    from popular_items
    cross join user_counts
),

by_segment as (
    select
        segment_items.segmentation,
        segment_items.segment_id,
        labels.name as segment_name,
        segment_items.list,
        segment_items.rank,
        segment_items.item_id,
        segment_items.score,
        segment_items.users,
        segment_items.share,
        segment_items.lift
    from segment_items
    inner join labels
        on segment_items.segment_id = labels.segment_id
),

combined as (
    select * from by_segment
    union all
    select * from everyone
),

final as (
    select
        cast(combined.segmentation as string) as segmentation,
        cast(combined.segment_id as string) as segment_id,
        cast(combined.segment_name as string) as segment_name,
        cast(combined.list as string) as list,
        cast(combined.rank as integer) as rank,
        cast(combined.item_id as string) as item_id,
        cast(item_stats.title as string) as title,
        cast(item_stats.category as string) as category,
        cast(round(combined.score, 6) as double) as score,
        cast(combined.users as bigint) as users,
        cast(round(combined.share, 6) as double) as share,
        cast(round(combined.lift, 4) as double) as lift,
        cast(case
            when combined.segmentation = 'everyone'
                then {{ phrase('everyone_list', {'percent': 'cast(round(100 * combined.share) as integer)'}) }}
            else {{ phrase('segment_list', {
                'percent': 'cast(round(100 * combined.share) as integer)', 'lift': 'round(combined.lift, 1)'
            }) }}
        end as string) as reason
    from combined
    inner join item_stats
        on combined.item_id = item_stats.item_id
    where combined.rank <= {{ var('segment_top_n') }}
)

select * from final
