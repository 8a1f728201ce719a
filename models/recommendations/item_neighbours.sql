with top_items as (
    select * from {{ ref('user_top_items') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

item_users as (
    select
        item_index,
        cast(count(*) as double) as users
    from top_items
    group by item_index
),

everyone as (
    select cast(count(distinct user_index) as double) as users
    from top_items
),

pairs as (
    select
        left_items.item_index as left_index,
        right_items.item_index as right_index,
        count(*) as together_users
    from top_items as left_items
    inner join top_items as right_items
        on
            left_items.user_index = right_items.user_index
            and left_items.item_index < right_items.item_index
    group by left_items.item_index, right_items.item_index
    having count(*) >= 2
),

directed as (
    select
        left_index as item_index,
        right_index as neighbour_index,
        together_users
    from pairs
    union all
    select
        right_index as item_index,
        left_index as neighbour_index,
        together_users
    from pairs
),

-- Cosine, pulled towards zero where few users stand behind it.
scored as (
    select
        directed.item_index,
        directed.neighbour_index,
        directed.together_users,
        round(
            directed.together_users / sqrt(item_users.users * neighbour_users.users)
            * directed.together_users / (directed.together_users + 3.0e0), 6
        ) as score,
        round(directed.together_users * everyone.users / (item_users.users * neighbour_users.users), 4) as lift
    from directed
    inner join item_users
        on directed.item_index = item_users.item_index
    inner join item_users as neighbour_users
        on directed.neighbour_index = neighbour_users.item_index
    inner join matrix_items
        on directed.neighbour_index = matrix_items.item_index
    inner join item_stats
        on matrix_items.item_id = item_stats.item_id
    cross join everyone
    where item_stats.is_active
),

ordered as (
    select
        item_index,
        score,
        -neighbour_index as use_order,
        neighbour_index,
        together_users,
        lift
    from scored
),

nearest as (
    select
        item_index,
        {{ top_rows(
            ['score', 'use_order', 'neighbour_index', 'together_users', 'lift'], var('similar_items_per_item')
        ) }} as neighbours
    from ordered
    group by item_index
),

exploded as (
    select
        item_index,
        {{ explode('neighbours') }} as neighbour
    from nearest
),

unpacked as (
    select
        exploded.item_index,
        neighbour.neighbour_index,
        neighbour.score,
        neighbour.together_users,
        neighbour.lift
    from exploded
),

final as (
    select
        matrix_items.item_id,
        cast(row_number() over (
            partition by unpacked.item_index
            order by unpacked.score desc, unpacked.neighbour_index asc
        ) as integer) as rank,
        neighbour_items.item_id as similar_item_id,
        unpacked.score,
        unpacked.together_users,
        unpacked.lift
    from unpacked
    inner join matrix_items
        on unpacked.item_index = matrix_items.item_index
    inner join matrix_items as neighbour_items
        on unpacked.neighbour_index = neighbour_items.item_index
)

select * from final
