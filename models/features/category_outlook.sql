with category_weights as (
    select * from {{ ref('user_category_weights') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

events as (
    select * from {{ ref('events') }}
    where age_days < {{ var('prediction_days') }} and preference > 0
),

items as (
    select * from {{ ref('stg_items') }}
),

recent as (
    select
        matrix_users.user_index,
        items.category,
        count(*) as events,
        {{ stable_sum('round(' ~ decay('events.age_days', var('affinity_half_life_days')) ~ ', 6)') }} as weight
    from events
    inner join items
        on events.item_id = items.item_id
    inner join matrix_users
        on events.user_key = matrix_users.user_key
    group by matrix_users.user_index, items.category
),

-- What is left without the recent events is the past: decay shrinks all of it by one factor, and only the mix counts.
final as (
    select
        category_weights.user_index,
        category_weights.category_index,
        category_weights.category,
        cast(greatest(round(category_weights.weight - coalesce(recent.weight, 0), 4), 0) as float) as past_weight,
        cast(
            round(
                coalesce(recent.events, 0)
                / nullif(sum(cast(recent.events as double)) over (partition by category_weights.user_index), 0), 6
            ) as float
        ) as next_share
    from category_weights
    left join recent
        on
            category_weights.user_index = recent.user_index
            and category_weights.category = recent.category
)

select * from final
