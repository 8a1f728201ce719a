{{ config(materialized=stored_if_learning()) }}

-- user_item_matrix as it was at the earlier wall, of the users from whom the ranker learns.
with events as (
    select * from {{ ref('events') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
    where wall_number = 1
),

users as (
    select
        attributes.user_key,
        matrix_users.user_index
    from {{ ref('user_attributes') }} as attributes
    inner join {{ ref('matrix_users') }} as matrix_users
        on attributes.user_key = matrix_users.user_key
    where attributes.user_number <= {{ var('ranker_training_users') }} and attributes.has_consent
),

items as (
    select * from {{ ref('matrix_items') }}
),

summed as (
    select
        users.user_index,
        items.item_index,
        sum(events.preference * {{ decay('(events.age_days - walls.days_before)', var('affinity_half_life_days')) }})
            as decayed_preference
    from events
    cross join walls
    inner join users
        on events.user_key = users.user_key
    inner join items
        on events.item_id = items.item_id
    where events.event_at < walls.wall_at
    group by users.user_index, items.item_index
),

final as (
    select
        user_index,
        item_index,
        cast(round({{ damp('decayed_preference') }}, 6) as float) as affinity
    from summed
    where decayed_preference > 0
)

select * from final
