with user_relations as (
    select * from {{ ref('input_user_relations') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
),

-- A relation that is stated several times is one, with the weights added up.
final as (
    select
        user_keys.user_key,
        related_keys.user_key as related_user_key,
        coalesce(user_relations.relation, 'related') as relation,
        sum(coalesce(user_relations.weight, 1)) as weight
    from user_relations
    inner join user_keys
        on trim(user_relations.user_id) = user_keys.user_id
    inner join user_keys as related_keys
        on trim(user_relations.related_user_id) = related_keys.user_id
    where user_keys.user_key <> related_keys.user_key
    group by user_keys.user_key, related_keys.user_key, coalesce(user_relations.relation, 'related')
)

select * from final
