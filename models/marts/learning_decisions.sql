with plans as (
    select * from {{ ref('learning_plan') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(plans.as_of as timestamp) as as_of,
        cast(plans.decision as string) as decision,
        cast(plans.reason as string) as reason,
        cast(plans.fitted_as_of as timestamp) as fitted_as_of,
        cast(plans.reference_as_of as timestamp) as reference_as_of,
        cast(plans.age_days as double) as age_days,
        cast(plans.max_psi as double) as max_psi,
        cast(plans.max_psi_feature as string) as max_psi_feature,
        cast(plans.new_user_share as double) as new_user_share,
        cast(plans.new_item_share as double) as new_item_share,
        cast(plans.users as bigint) as users
    from plans
    inner join wall
        on plans.as_of <= wall.as_of
)

select * from final
