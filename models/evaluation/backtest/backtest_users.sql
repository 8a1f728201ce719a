with events_after_wall as (
    select distinct user_key
    from {{ ref('events_after_wall') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

-- Pseudonyms are as good as random numbers, so the first of them are a fair sample, and always the same.
final as (
    select
        users.user_number,
        users.user_key,
        users.events,
        coalesce(assignments.segment_id, '{{ var("default_segmentation") }}-none') as segment_id,
        case
            when users.events = 0 then '0'
            when users.events < 5 then '1-4'
            when users.events < 20 then '5-19'
            else '20+'
        end as history_length
    from users
    inner join events_after_wall
        on users.user_key = events_after_wall.user_key
    left join assignments
        on users.user_key = assignments.user_key
    qualify row_number() over (order by users.user_key asc) <= {{ var('backtest_max_users') }}
)

select * from final
