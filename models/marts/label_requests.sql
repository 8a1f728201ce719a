with assignments as (
    select * from {{ ref('segment_assignments') }}
    where margin is not null and not is_unassigned
),

users as (
    select * from {{ ref('user_attributes') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

ranked as (
    select
        assignments.*,
        row_number() over (
            partition by assignments.segmentation
            order by assignments.margin asc, assignments.user_key asc
        ) as request_rank
    from assignments
    inner join users
        on assignments.user_key = users.user_key
    where users.has_consent
),

final as (
    select
        cast(ranked.segmentation as string) as segmentation,
        cast(ranked.request_rank as integer) as request_rank,
        cast(ranked.user_key as string) as user_key,
        cast(ranked.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(ranked.second_segment_id as string) as second_segment_id,
        cast(second_labels.name as string) as second_segment_name,
        cast(ranked.margin as double) as margin,
        cast(ranked.run_id as string) as run_id
    from ranked
    inner join labels
        on ranked.segment_id = labels.segment_id
    left join labels as second_labels
        on ranked.second_segment_id = second_labels.segment_id
    where ranked.request_rank <= {{ var('segment_top_n') }}
)

select * from final
