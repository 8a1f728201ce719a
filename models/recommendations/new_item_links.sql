{{ config(materialized=stored_if_used('new_item')) }}

-- All-pairs of texts would not end in a large catalogue: the most used texts of the item's own category are compared.
{%- set texts_per_category = 200 %}
{%- set links_per_item = 5 %}
{%- set min_cosine = 0.3 %}

with item_stats as (
    select * from {{ ref('item_stats') }}
),

items as (
    select * from {{ ref('stg_items') }}
),

wall as (
    select * from {{ ref('wall') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

item_text_keys as (
    select * from {{ ref('item_text_keys') }}
),

text_vectors as (
    select * from {{ ref('item_text_vectors') }}
),

old_texts as (
    select
        coalesce(item_stats.category, '') as category,
        matrix_items.text_index,
        sum(matrix_items.users) as users
    from matrix_items
    inner join item_stats
        on matrix_items.item_id = item_stats.item_id
    where matrix_items.text_index is not null
    group by coalesce(item_stats.category, ''), matrix_items.text_index
    qualify row_number() over (
        partition by coalesce(item_stats.category, '')
        order by sum(matrix_items.users) desc, matrix_items.text_index asc
    ) <= {{ texts_per_category }}
),

-- Too few users for the user-item matrix, or on the market since one half-life of popularity. The newest of each text.
new_items as (
    select
        item_stats.item_number,
        coalesce(item_stats.category, '') as category,
        text_vectors.text_index
    from item_stats
    cross join wall
    inner join items
        on item_stats.item_id = items.item_id
    inner join item_text_keys
        on item_stats.item_id = item_text_keys.item_id
    inner join text_vectors
        on item_text_keys.text_key = text_vectors.text_key
    left join matrix_items
        on item_stats.item_id = matrix_items.item_id
    where
        item_stats.is_active
        and (
            matrix_items.item_id is null
            or ({{ epoch_seconds('wall.as_of') }} - {{ epoch_seconds('items.released_at') }}) / 86400.0e0
            < {{ var('popularity_half_life_days') }}
        )
    qualify row_number() over (
        partition by text_vectors.text_index
        order by
            coalesce(items.released_at, item_stats.first_event_at) desc nulls last,
            item_stats.decayed_popularity desc, item_stats.item_number asc
    ) = 1
),

compared as (
    select
        new_items.item_number,
        old_texts.text_index,
        old_texts.users,
        round(cast({{ cosine('new_vectors.vector', 'old_vectors.vector') }} as double), 6) as cosine
    from new_items
    inner join old_texts
        on new_items.category = old_texts.category
    inner join text_vectors as new_vectors
        on new_items.text_index = new_vectors.text_index
    inner join text_vectors as old_vectors
        on old_texts.text_index = old_vectors.text_index
),

final as (
    select
        item_number,
        cast(row_number() over (
            partition by item_number
            order by cosine desc, users desc, text_index asc
        ) as integer) as rank,
        text_index,
        cosine
    from compared
    where cosine >= {{ min_cosine }}
    qualify rank <= {{ links_per_item }}
)

select * from final
