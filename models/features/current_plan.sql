with learning_plan as (
    select * from {{ ref('learning_plan') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select learning_plan.*
    from learning_plan
    inner join wall
        on learning_plan.as_of = wall.as_of
)

select * from final
