{{ config(materialized=stored_if_used('category')) }}

{%- set levels_per_user = 5 %}
{%- set items_per_level = 5 %}
{%- set min_items_of_subcategory = 5 %}

with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

support as (
    select least({{ var('min_users_per_cell') }}, ceil(count(*) / 10.0e0)) as min_users
    from users
),

-- The subcategory, unless it has so few items that there is nothing to choose from.
finest as (
    select
        item_id,
        item_number,
        is_active,
        users,
        decayed_popularity,
        category,
        case
            when
                category is null
                or count(*) over (partition by category, subcategory) >= {{ min_items_of_subcategory }}
                then subcategory
        end as subcategory
    from item_stats
    where category is not null or subcategory is not null
),

-- Subcategories of one name below two categories are two.
item_levels as (
    select
        item_id,
        item_number,
        is_active,
        users,
        decayed_popularity,
        cast(dense_rank() over (order by category asc, subcategory asc) as integer) as level_number,
        coalesce(subcategory, category) as level_name
    from finest
),

level_items as (
    select
        item_levels.level_number,
        item_levels.level_name,
        item_levels.item_number,
        item_levels.users,
        item_levels.decayed_popularity
        / sum(item_levels.decayed_popularity) over (partition by item_levels.level_number) as item_share
    from item_levels
    cross join support
    where item_levels.is_active and item_levels.decayed_popularity > 0 and item_levels.users >= support.min_users
    qualify row_number() over (
        partition by item_levels.level_number
        order by item_levels.decayed_popularity desc, item_levels.item_number asc
    ) <= {{ items_per_level }}
),

user_levels as (
    select
        users.user_number,
        item_levels.level_number,
        {{ stable_sum('affinity.decayed_events') }} as decayed_events
    from affinity
    inner join users
        on affinity.user_key = users.user_key
    inner join item_levels
        on affinity.item_id = item_levels.item_id
    where affinity.affinity > 0
    group by users.user_number, item_levels.level_number
),

favoured as (
    select
        user_number,
        level_number,
        decayed_events
        / nullif(sum(decayed_events) over (partition by user_number), 0) as level_share
    from user_levels
    qualify row_number() over (
        partition by user_number
        order by decayed_events desc, level_number asc
    ) <= {{ levels_per_user }}
),

-- Only items of the lists can have been met there.
met as (
    select
        users.user_number,
        level_items.item_number
    from affinity
    inner join users
        on affinity.user_key = users.user_key
    inner join item_stats
        on affinity.item_id = item_stats.item_id
    inner join level_items
        on item_stats.item_number = level_items.item_number
),

-- As many as levels_per_user x items_per_level for a user.
scored as (
    select
        favoured.user_number,
        level_items.item_number,
        level_items.level_name,
        level_items.users,
        favoured.level_share,
        round(favoured.level_share * level_items.item_share, 6) as score
    from favoured
    inner join level_items
        on favoured.level_number = level_items.level_number
    left join met
        on
            favoured.user_number = met.user_number
            and level_items.item_number = met.item_number
    where met.item_number is null
    {% if levels_per_user * items_per_level > var('candidates_per_source') %}
        qualify row_number() over (
            partition by favoured.user_number
            order by score desc, level_items.item_number asc
        ) <= {{ var('candidates_per_source') }}
    {% endif %}
),

final as (
    select
        users.user_key,
        item_stats.item_id,
        'category' as source,
        scored.score,
        false as is_repeat,
        'category' as evidence_kind,
        scored.level_name as evidence_id,
        cast(scored.users as bigint) as evidence_count,
        round(scored.level_share, 6) as evidence_value
    from scored
    inner join users
        on scored.user_number = users.user_number
    inner join item_stats
        on scored.item_number = item_stats.item_number
    where scored.score > 0
)

select * from final
