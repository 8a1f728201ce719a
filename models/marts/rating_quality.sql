with errors as (
    select * from {{ ref('rating_errors') }}
),

final as (
    select
        cast(model as string) as model,
        cast(training_ratings as bigint) as training_ratings,
        cast(held_out_ratings as bigint) as held_out_ratings,
        cast(held_out_since as timestamp) as held_out_since,
        cast(mean_absolute_error as double) as mean_absolute_error,
        cast(root_mean_squared_error as double) as root_mean_squared_error,
        cast(run_id as string) as run_id,
        cast(model_version as string) as model_version
    from errors
)

select * from final
