with matrix as (
    select * from {{ ref('user_item_matrix') }}
),

matrix_users as (
    select count(*) as users from {{ ref('matrix_users') }}
),

-- Pairs grow with the square of a user's items: the more users, the fewer items of each may enter.
bounds as (
    select
        cast(greatest(2, least(
            {{ var('neighbour_items_per_user') }},
            floor(sqrt(2.0e0 * {{ var('max_item_pairs') }} / greatest(users, 1)))
        )) as integer) as items_per_user
    from matrix_users
),

ordered as (
    select
        user_index,
        affinity,
        -item_index as use_order,
        item_index
    from matrix
),

strongest as (
    select
        user_index,
        {{ top_rows(['affinity', 'use_order', 'item_index'], var('neighbour_items_per_user')) }} as top_items
    from ordered
    group by user_index
),

exploded as (
    select
        strongest.user_index,
        {{ explode('array_slice(strongest.top_items, 1, bounds.items_per_user)') }} as top_item
    from strongest
    cross join bounds
),

final as (
    select
        exploded.user_index,
        top_item.item_index,
        top_item.affinity
    from exploded
)

select * from final
