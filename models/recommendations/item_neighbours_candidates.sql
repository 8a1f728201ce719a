{{ config(materialized=stored_if_used('item_neighbours')) }}

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

neighbours as (
    select * from {{ ref('item_neighbours') }}
),

own_items as (
    select
        users.user_number,
        top_items.item_index,
        top_items.affinity
    from {{ ref('user_top_items') }} as top_items
    inner join matrix_users
        on top_items.user_index = matrix_users.user_index
    inner join users
        on matrix_users.user_key = users.user_key
),

links as (
    select
        matrix_items.item_index,
        neighbours.item_id as own_item_id,
        item_stats.item_number,
        neighbours.score as similarity,
        neighbours.together_users,
        neighbours.lift
    from neighbours
    inner join matrix_items
        on neighbours.item_id = matrix_items.item_id
    inner join item_stats
        on neighbours.similar_item_id = item_stats.item_id
),

-- Bounded by neighbour_items_per_user x similar_items_per_item for a user.
linked as (
    select
        own_items.user_number,
        links.item_number,
        links.own_item_id,
        round(own_items.affinity * links.similarity, 6) as strength,
        links.together_users,
        links.lift
    from own_items
    inner join links
        on own_items.item_index = links.item_index
),

scored as (
    select
        user_number,
        item_number,
        {{ stable_sum('strength') }} as score,
        'item' as evidence_kind,
        max_by(own_item_id, (strength, own_item_id)) as evidence_id,
        max_by(together_users, (strength, own_item_id)) as evidence_count,
        max_by(lift, (strength, own_item_id)) as evidence_value
    from linked
    group by user_number, item_number
),

{{ strongest_new_candidates('item_neighbours') }}

select * from final
