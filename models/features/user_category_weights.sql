with category_affinity as (
    select * from {{ ref('user_category_affinity') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

categories as (
    select
        category,
        row_number() over (order by count(*) desc, category) - 1 as category_index
    from category_affinity
    group by category
),

final as (
    select
        matrix_users.user_index,
        cast(categories.category_index as integer) as category_index,
        category_affinity.category,
        cast(category_affinity.decayed_events as float) as weight,
        cast(category_affinity.share as float) as share
    from category_affinity
    inner join matrix_users
        on category_affinity.user_key = matrix_users.user_key
    inner join categories
        on category_affinity.category = categories.category
    where categories.category_index < {{ var('max_category_features') }}
)

select * from final
