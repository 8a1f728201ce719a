with flows as (
    select * from {{ ref('segment_flows') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(flows.segmentation as string) as segmentation,
        cast(flows.from_as_of as timestamp) as from_as_of,
        cast(flows.to_as_of as timestamp) as to_as_of,
        cast(flows.from_segment_id as string) as from_segment_id,
        cast(flows.to_segment_id as string) as to_segment_id,
        cast(coalesce(from_labels.name, flows.from_segment_id) as string) as from_segment_name,
        cast(coalesce(to_labels.name, flows.to_segment_id) as string) as to_segment_name,
        cast(flows.users as bigint) as users,
        cast(
            round(
                flows.users / sum(cast(flows.users as double)) over (
                    partition by flows.segmentation, flows.to_as_of, flows.from_segment_id
                ),
                6
            ) as double
        ) as share_of_from,
        cast(
            flows.to_as_of = max(flows.to_as_of) over (partition by flows.segmentation) as boolean
        ) as is_newest
    from flows
    inner join wall
        on flows.to_as_of <= wall.as_of
    left join labels as from_labels
        on flows.from_segment_id = from_labels.segment_id
    left join labels as to_labels
        on flows.to_segment_id = to_labels.segment_id
)

select * from final
