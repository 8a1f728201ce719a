with predictions as (
    select * from {{ ref('rating_predictions') }}
),

final as (
    select
        cast(user_key as string) as user_key,
        cast(item_id as string) as item_id,
        cast(predicted_rating as double) as predicted_rating,
        cast(user_ratings as bigint) as user_ratings,
        cast(item_ratings as bigint) as item_ratings,
        cast(run_id as string) as run_id,
        cast(model_version as string) as model_version
    from predictions
)

select * from final
