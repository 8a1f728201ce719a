with interest_medoids as (
    select * from {{ ref('interest_medoids') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select
        cast(users.user_key as string) as user_key,
        cast(interest_medoids.horizon as string) as horizon,
        cast(interest_medoids.interest_rank as integer) as interest_rank,
        cast(item_stats.item_id as string) as item_id,
        cast(item_stats.title as string) as title,
        cast(item_stats.category as string) as category,
        cast(interest_medoids.weight as double) as weight,
        cast(interest_medoids.items as bigint) as items,
        cast(interest_medoids.run_id as string) as run_id,
        cast(interest_medoids.model_version as string) as model_version
    from interest_medoids
    inner join users
        on interest_medoids.user_number = users.user_number
    inner join item_stats
        on interest_medoids.item_number = item_stats.item_number
)

select * from final
