with learning_plan as (
    select * from {{ ref('learning_plan') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        learning_plan.as_of,
        learning_plan.decision,
        learning_plan.reason,
        learning_plan.fitted_as_of,
        learning_plan.reference_as_of,
        learning_plan.age_days,
        learning_plan.max_psi,
        learning_plan.max_psi_feature,
        learning_plan.new_user_share,
        learning_plan.new_item_share,
        learning_plan.users
    from learning_plan
    inner join wall
        on learning_plan.as_of = wall.as_of
)

select * from final
