{{ config(materialized='view') }}

{%- set count = var('candidates_per_source') %}

-- What the sources in use give now, and what those that can be computed for the earlier wall would have given then.
with users as (
    select * from {{ ref('ranking_users') }}
    where wall_number = 1
),

items as (
    select * from {{ ref('ranking_items') }}
    where wall_number = 1 and is_active
),

pairs as (
    select * from {{ ref('ranking_pairs') }}
    where wall_number = 1
),

group_items as (
    select * from {{ ref('ranking_group_items') }}
    where wall_number = 1 and rank <= {{ count }}
),

own_scored as (
    select
        pairs.wall_number,
        pairs.user_number,
        round(ln(1 + pairs.decayed_120) + 0.3e0 * ln(1 + pairs.decayed_30), 6) as strength,
        -pairs.item_number as use_order,
        pairs.item_number
    from pairs
    inner join items
        on
            pairs.wall_number = items.wall_number
            and pairs.item_number = items.item_number
),

own_best as (
    select
        wall_number,
        user_number,
        {{ top_rows(['strength', 'use_order', 'item_number'], count) }} as items
    from own_scored
    group by wall_number, user_number
),

own_rows as (
    select
        wall_number,
        user_number,
        {{ explode('items') }} as item
    from own_best
),

own as (
    select
        own_rows.wall_number,
        own_rows.user_number,
        item.item_number,
        'buy_again' as source,
        item.strength as score
    from own_rows
),

matrix as (
    select
        1 as wall_number,
        attributes.user_number,
        item_stats.item_number,
        training_candidates.source,
        training_candidates.score
    from {{ ref('training_candidates') }} as training_candidates
    inner join {{ ref('user_attributes') }} as attributes
        on training_candidates.user_key = attributes.user_key
    inner join {{ ref('item_stats') }} as item_stats
        on training_candidates.item_id = item_stats.item_id
),

popular_items as (
    select
        wall_number,
        item_number,
        popularity_28 / max(popularity_28) over (partition by wall_number) as strength
    from items
    qualify row_number() over (partition by wall_number order by popularity_28 desc, item_number asc) <= {{ count }}
),

popular as (
    select
        users.wall_number,
        users.user_number,
        popular_items.item_number,
        'popular' as source,
        popular_items.strength as score
    from users
    inner join popular_items
        on users.wall_number = popular_items.wall_number
),

grouped as (
    select
        users.wall_number,
        users.user_number,
        group_items.item_number,
        group_items.group_kind as source,
        group_items.strength as score
    from users
    inner join group_items
        on
            users.wall_number = group_items.wall_number
            and group_items.group_kind = 'context'
            and users.context = group_items.group_id
    union all
    select
        users.wall_number,
        users.user_number,
        group_items.item_number,
        group_items.group_kind as source,
        group_items.strength as score
    from users
    inner join group_items
        on
            users.wall_number = group_items.wall_number
            and group_items.group_kind = 'segment'
            and users.segment_id = group_items.group_id
),

favourites as (
    select
        wall_number,
        user_number,
        subcategory,
        decayed / max(decayed) over (partition by wall_number, user_number) as share
    from {{ ref('ranking_user_categories') }}
    qualify row_number() over (partition by wall_number, user_number order by decayed desc, subcategory asc) <= 10
),

category_items as (
    select
        wall_number,
        subcategory,
        item_number,
        popularity_28 / max(popularity_28) over (partition by wall_number, subcategory) as share
    from items
    where subcategory is not null
    qualify
        row_number() over (partition by wall_number, subcategory order by popularity_28 desc, item_number asc) <= 5
),

category as (
    select
        favourites.wall_number,
        favourites.user_number,
        category_items.item_number,
        'category' as source,
        round(favourites.share * category_items.share, 6) as score
    from favourites
    inner join category_items
        on
            favourites.wall_number = category_items.wall_number
            and favourites.subcategory = category_items.subcategory
),

combined as (
    select * from own
    union all
    select * from matrix
    union all
    select * from popular
    union all
    select * from grouped
    union all
    select * from category
),

earlier as (
    select
        combined.wall_number,
        combined.user_number,
        combined.item_number,
        combined.source,
        combined.score,
        false as is_repeat
    from combined
    inner join users
        on
            combined.wall_number = users.wall_number
            and combined.user_number = users.user_number
    where users.has_consent
),

final as (
    select
        0 as wall_number,
        user_number,
        item_number,
        source,
        score,
        is_repeat
    from {{ ref('source_candidates') }}
    union all
    select
        wall_number,
        user_number,
        item_number,
        source,
        score,
        is_repeat
    from earlier
)

select * from final
