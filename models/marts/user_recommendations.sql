with reasons as (
    select * from {{ ref('user_list_reasons') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(reasons.user_key as string) as user_key,
        cast(reasons.list as string) as list,
        cast(reasons.rank as integer) as rank,
        cast(reasons.item_id as string) as item_id,
        cast(reasons.title as string) as title,
        cast(reasons.score as double) as score,
        cast(reasons.source as string) as source,
        cast(reasons.reason as string) as reason,
        cast(reasons.evidence_kind as string) as evidence_kind,
        cast(reasons.evidence_id as string) as evidence_id,
        cast(reasons.evidence_count as bigint) as evidence_count,
        cast(reasons.segment_id as string) as segment_id,
        cast(reasons.segment_name as string) as segment_name,
        cast(reasons.fallback_level as integer) as fallback_level,
        cast(reasons.is_repeat as boolean) as is_repeat,
        cast(reasons.is_pinned as boolean) as is_pinned,
        cast(reasons.is_exploration as boolean) as is_exploration,
        cast(wall.as_of as timestamp) as as_of
    from reasons
    cross join wall
)

select * from final
