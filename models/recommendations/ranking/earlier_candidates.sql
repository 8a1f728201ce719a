{{ config(materialized='view') }}

{%- set count = var('candidates_per_source') %}

-- What the sources that can be computed for the earlier wall would have given then.
with users as (
    select * from {{ ref('ranking_users') }}
    where wall_number = 1 and has_consent
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
        pairs.user_number,
        pairs.item_number,
        round(ln(1 + pairs.decayed_120) + 0.3e0 * ln(1 + pairs.decayed_30), 6) as strength
    from pairs
    inner join items
        on pairs.item_number = items.item_number
),

own as (
    select
        user_number,
        item_number,
        'buy_again' as source,
        strength as score
    from own_scored
    qualify row_number() over (
        partition by user_number
        order by strength desc, item_number asc
    ) <= {{ count }}
),

matrix as (
    select
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
        item_number,
        popularity_28 / max(popularity_28) over () as strength,
        row_number() over (order by popularity_28 desc, item_number asc) as rank
    from items
    qualify rank <= {{ count }}
),

popular as (
    select
        users.user_number,
        popular_items.item_number,
        'popular' as source,
        popular_items.strength as score
    from users
    cross join popular_items
    where popular_items.rank <= {{ var('top_n') }} or users.items < {{ count }}
),

groups as (
    select
        user_number,
        items,
        'context' as group_kind,
        context as group_id
    from users
    union all
    select
        user_number,
        items,
        'segment' as group_kind,
        segment_id as group_id
    from users
),

grouped as (
    select
        groups.user_number,
        group_items.item_number,
        group_items.group_kind as source,
        group_items.strength as score
    from groups
    inner join group_items
        on
            groups.group_kind = group_items.group_kind
            and groups.group_id = group_items.group_id
    where group_items.rank <= {{ var('top_n') }} or groups.items < {{ count }}
),

favourites as (
    select
        user_number,
        subcategory,
        decayed / max(decayed) over (partition by user_number) as share
    from {{ ref('ranking_user_categories') }}
    where wall_number = 1
    qualify row_number() over (partition by user_number order by decayed desc, subcategory asc) <= 10
),

category_items as (
    select
        subcategory,
        item_number,
        popularity_28 / max(popularity_28) over (partition by subcategory) as share
    from items
    where subcategory is not null
    qualify row_number() over (partition by subcategory order by popularity_28 desc, item_number asc) <= 5
),

category as (
    select
        favourites.user_number,
        category_items.item_number,
        'category' as source,
        round(favourites.share * category_items.share, 6) as score
    from favourites
    inner join category_items
        on favourites.subcategory = category_items.subcategory
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

final as (
    select
        combined.user_number,
        combined.item_number,
        combined.source,
        combined.score
    from combined
    inner join users
        on combined.user_number = users.user_number
)

select * from final
