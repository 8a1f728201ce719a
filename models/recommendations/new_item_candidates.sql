{{ config(materialized=stored_if_used('new_item')) }}

{%- set new_items_per_text = 20 %}

with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

links as (
    select * from {{ ref('new_item_links') }}
    qualify row_number() over (
        partition by text_index
        order by cosine desc, item_number asc
    ) <= {{ new_items_per_text }}
),

own_items as (
    select
        users.user_number,
        matrix_items.text_index,
        matrix_items.item_id,
        matrix_items.users,
        top_items.affinity
    from {{ ref('user_top_items') }} as top_items
    inner join matrix_items
        on top_items.item_index = matrix_items.item_index
    inner join matrix_users
        on top_items.user_index = matrix_users.user_index
    inner join users
        on matrix_users.user_key = users.user_key
),

linked as (
    select
        own_items.user_number,
        links.item_number,
        own_items.item_id as own_item_id,
        own_items.users,
        links.cosine,
        round(own_items.affinity * links.cosine, 6) as strength
    from own_items
    inner join links
        on own_items.text_index = links.text_index
),

scored as (
    select
        user_number,
        item_number,
        {{ stable_sum('strength') }} as score,
        'item' as evidence_kind,
        max_by(own_item_id, (strength, own_item_id)) as evidence_id,
        max_by(users, (strength, own_item_id)) as evidence_count,
        max_by(cosine, (strength, own_item_id)) as evidence_value
    from linked
    group by user_number, item_number
),

{{ strongest_new_candidates('new_item') }}

select * from final
