with reasons as (
    select * from {{ ref('user_list_reasons') }}
),

final as (
    select
        cast(user_key as string) as user_key,
        cast(list as string) as list,
        cast(rank as integer) as rank,
        cast(item_id as string) as item_id,
        cast(title as string) as title,
        cast(score as double) as score,
        cast(source as string) as source,
        cast(reason as string) as reason,
        cast(evidence_kind as string) as evidence_kind,
        cast(evidence_id as string) as evidence_id,
        cast(evidence_count as bigint) as evidence_count,
        cast(segment_id as string) as segment_id,
        cast(segment_name as string) as segment_name,
        cast(fallback_level as integer) as fallback_level,
        cast(is_repeat as boolean) as is_repeat,
        cast(is_pinned as boolean) as is_pinned,
        cast(is_exploration as boolean) as is_exploration
    from reasons
)

select * from final
