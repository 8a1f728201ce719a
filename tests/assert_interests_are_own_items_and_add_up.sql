-- Every medoid is an item that its user has a positive event with, and the weights of a horizon add up to 1.
with interests as (
    select * from {{ ref('user_interests') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
    where positive_events > 0
),

strange as (
    select
        interests.user_key,
        interests.horizon,
        'not an own item: ' || interests.item_id as problem
    from interests
    left join affinity
        on
            interests.user_key = affinity.user_key
            and interests.item_id = affinity.item_id
    where affinity.user_key is null
),

unbalanced as (
    select
        user_key,
        horizon,
        'weights add up to ' || sum(weight) as problem
    from interests
    group by user_key, horizon
    having abs(sum(weight) - 1) > 0.000001
),

final as (
    select * from strange
    union all
    select * from unbalanced
)

select * from final
