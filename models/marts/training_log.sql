with epochs as (
    select * from {{ ref('training_epochs') }}
),

final as (
    select
        cast(run_id as string) as run_id,
        cast(model as string) as model,
        cast(epoch as integer) as epoch,
        cast(train_loss as double) as train_loss,
        cast(reconstruction_loss as double) as reconstruction_loss,
        cast(kl_divergence as double) as kl_divergence,
        cast(validation_loss as double) as validation_loss,
        cast(beta as double) as beta,
        cast(learning_rate as double) as learning_rate
    from epochs
)

select * from final
