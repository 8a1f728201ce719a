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
    select candidates.*
    from {{ ref('user_candidates') }} as candidates
    inner join users
        on candidates.user_number = users.user_number
    where candidates.source <> 'segment'
),

assignments as (
    select
        assignments.segmentation,
        assignments.segment_id,
        users.user_number
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
        segment_items.segment_id,
        item_stats.item_number,
        segment_items.score / max(segment_items.score) over (partition by segment_items.segment_id) as strength
    from {{ ref('segment_items') }} as segment_items
    inner join item_stats
        on segment_items.item_id = item_stats.item_id
    where segment_items.list = 'popular' and segment_items.rank <= {{ var('top_n') }}
),

met as (
    select
        users.user_number,
        item_stats.item_number
    from {{ ref('user_item_affinity') }} as affinity
    inner join users
        on affinity.user_key = users.user_key
    inner join item_stats
        on affinity.item_id = item_stats.item_id
),

common as (
    select
        source_weights.list,
        candidates.user_number,
        candidates.item_number,
        sum(candidates.strength * source_weights.weight) as score
    from candidates
    inner join source_weights
        on candidates.source = source_weights.source
    where source_weights.list = 'for_you' or not candidates.is_repeat
    group by source_weights.list, candidates.user_number, candidates.item_number
),

-- An item that no segment speaks for needs to be among the best of the other sources.
strongest as (
    select *
    from common
    qualify row_number() over (
        partition by list, user_number
        order by score desc, item_number asc
    ) <= {{ var('top_n') }}
),

of_segments as (
    select
        assignments.segmentation,
        source_weights.list,
        assignments.user_number,
        popular_in_segment.item_number,
        popular_in_segment.strength * source_weights.weight as score
    from assignments
    inner join popular_in_segment
        on assignments.segment_id = popular_in_segment.segment_id
    inner join source_weights
        on source_weights.source = 'segment'
    left join met
        on
            assignments.user_number = met.user_number
            and popular_in_segment.item_number = met.item_number
    where source_weights.list = 'for_you' or met.user_number is null
),

combined as (
    select
        segmentations.segmentation,
        strongest.list,
        strongest.user_number,
        strongest.item_number,
        strongest.score
    from strongest
    cross join segmentations
    union all
    select
        of_segments.segmentation,
        of_segments.list,
        of_segments.user_number,
        of_segments.item_number,
        of_segments.score + coalesce(common.score, 0) as score
    from of_segments
    left join common
        on
            of_segments.list = common.list
            and of_segments.user_number = common.user_number
            and of_segments.item_number = common.item_number
),

-- Where a segment speaks for an item of the best, the higher score is the one with both.
scored as (
    select
        segmentation,
        list,
        user_number,
        item_number,
        round(max(score), 6) as score
    from combined
    group by segmentation, list, user_number, item_number
),

ranked as (
    select
        segmentation,
        list,
        user_number,
        item_number,
        cast(row_number() over (
            partition by segmentation, list, user_number
            order by score desc, item_number asc
        ) as integer) as rank
    from scored
    qualify rank <= {{ var('top_n') }}
),

final as (
    select
        ranked.segmentation,
        ranked.list,
        users.user_key,
        ranked.rank,
        item_stats.item_id
    from ranked
    inner join users
        on ranked.user_number = users.user_number
    inner join item_stats
        on ranked.item_number = item_stats.item_number
)

select * from final
