{{ config(materialized='view') }}

-- The blend with fixed weights, its source `segment` taken from one segmentation after the other, and from none.
with users as (
    select * from {{ ref('backtest_users') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

source_weights as (
    select * from {{ ref('source_weights') }}
    where weight > 0
),

candidates as (
    select
        users.user_key,
        item_stats.item_id,
        candidates.source,
        candidates.strength,
        candidates.is_repeat
    from {{ ref('user_candidates') }} as candidates
    inner join users
        on candidates.user_number = users.user_number
    inner join item_stats
        on candidates.item_number = item_stats.item_number
    where candidates.source <> 'segment'
),

assignments as (
    select
        assignments.segmentation,
        assignments.segment_id,
        assignments.user_key
    from {{ ref('segment_assignments') }} as assignments
    inner join users
        on assignments.user_key = users.user_key
    inner join {{ ref('user_attributes') }} as attributes
        on assignments.user_key = attributes.user_key
    where not assignments.is_unassigned and attributes.has_consent
),

segmentations as (
    select 'none' as segmentation
    union
    select segmentation from {{ ref('segment_assignments') }}
),

popular_in_segment as (
    select
        segmentation,
        segment_id,
        item_id,
        score / max(score) over (partition by segmentation, segment_id) as strength
    from {{ ref('segment_items') }}
    where list = 'popular' and rank <= {{ var('top_n') }}
),

met as (
    select
        affinity.user_key,
        affinity.item_id
    from {{ ref('user_item_affinity') }} as affinity
    inner join users
        on affinity.user_key = users.user_key
),

common as (
    select
        source_weights.list,
        candidates.user_key,
        candidates.item_id,
        sum(candidates.strength * source_weights.weight) as score
    from candidates
    inner join source_weights
        on candidates.source = source_weights.source
    where source_weights.list = 'for_you' or not candidates.is_repeat
    group by source_weights.list, candidates.user_key, candidates.item_id
),

of_segments as (
    select
        assignments.segmentation,
        source_weights.list,
        assignments.user_key,
        popular_in_segment.item_id,
        popular_in_segment.strength * source_weights.weight as score
    from assignments
    inner join popular_in_segment
        on assignments.segment_id = popular_in_segment.segment_id
    inner join source_weights
        on source_weights.source = 'segment'
    left join met
        on
            assignments.user_key = met.user_key
            and popular_in_segment.item_id = met.item_id
    where source_weights.list = 'for_you' or met.user_key is null
),

combined as (
    select
        segmentations.segmentation,
        common.list,
        common.user_key,
        common.item_id,
        common.score
    from common
    cross join segmentations
    union all
    select * from of_segments
),

scored as (
    select
        segmentation,
        list,
        user_key,
        item_id,
        round(sum(score), 6) as score
    from combined
    group by segmentation, list, user_key, item_id
),

final as (
    select
        scored.segmentation,
        scored.list,
        scored.user_key,
        cast(row_number() over (
            partition by scored.segmentation, scored.list, scored.user_key
            order by scored.score desc, item_stats.item_number asc
        ) as integer) as rank,
        scored.item_id
    from scored
    inner join item_stats
        on scored.item_id = item_stats.item_id
    qualify rank <= {{ var('top_n') }}
)

select * from final
