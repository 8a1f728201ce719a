with named_segments as (
    select * from {{ ref('cluster_names') }}
),

category_stats as (
    select * from {{ ref('segment_category_stats') }}
),

item_stats as (
    select * from {{ ref('segment_item_stats') }}
),

items as (
    select * from {{ ref('item_stats') }}
),

feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

-- At least five users, whatever the setting: these rows may leave the machine.
categories as (
    select
        segment_id,
        'category' as kind,
        category as label,
        users,
        user_share as share,
        lift,
        cast(null as double) as standardised_difference,
        distinctiveness as strength
    from category_stats
    where users >= greatest({{ var('min_users_per_cell') }}, 5) and lift >= 1.1 and trim(category) <> ''
),

titled_items as (
    select
        item_stats.segment_id,
        'item' as kind,
        items.title as label,
        item_stats.users,
        item_stats.share,
        item_stats.lift,
        cast(null as double) as standardised_difference,
        item_stats.distinctiveness as strength,
        -- Sizes of one thing often share a title.
        row_number() over (
            partition by item_stats.segment_id, items.title
            order by item_stats.distinctiveness desc, item_stats.item_id asc
        ) as place_in_title
    from item_stats
    inner join items
        on item_stats.item_id = items.item_id
    where
        item_stats.users >= greatest({{ var('min_users_per_cell') }}, 5)
        and item_stats.lift >= 1.1
        and trim(items.title) <> ''
),

distinct_items as (
    select
        segment_id,
        kind,
        label,
        users,
        share,
        lift,
        standardised_difference,
        strength
    from titled_items
    where place_in_title = 1
),

-- Hours and weekdays are in the profile; in a prompt they would say little.
features as (
    select
        segment_id,
        'feature' as kind,
        feature as label,
        users,
        cast(null as double) as share,
        cast(null as double) as lift,
        standardised_difference,
        abs(standardised_difference) as strength
    from feature_stats
    where
        users >= greatest({{ var('min_users_per_cell') }}, 5)
        and abs(standardised_difference) >= 0.2
        and feature not like '%_share'
),

combined as (
    select * from categories
    union all
    select * from distinct_items
    union all
    select * from features
),

ranked as (
    select
        named_segments.segmentation,
        combined.*,
        row_number() over (
            partition by combined.segment_id, combined.kind
            order by combined.strength desc, combined.label asc
        ) as position
    from combined
    inner join named_segments
        on combined.segment_id = named_segments.segment_id
),

final as (
    select
        segmentation,
        segment_id,
        kind,
        cast(position as bigint) as position,
        label,
        cast(users as bigint) as users,
        cast(share as double) as share,
        cast(lift as double) as lift,
        cast(standardised_difference as double) as standardised_difference
    from ranked
    where position <= case when kind = 'feature' then 5 else 8 end
)

select * from final
