with candidates as (
    select * from {{ ref('user_candidates') }}
),

weights as (
    select
        source,
        sum(case when list = 'for_you' then weight else 0 end) as for_you_weight,
        sum(case when list = 'discover' then weight else 0 end) as discover_weight
    from {{ ref('source_weights') }}
    group by source
),

weighted as (
    select
        candidates.*,
        round(candidates.strength * weights.for_you_weight, 6) as for_you_part,
        round(candidates.strength * weights.discover_weight, 6) as discover_part
    from candidates
    inner join weights
        on candidates.source = weights.source
),

blended as (
    select
        user_key,
        item_id,
        round(sum(for_you_part), 6) as for_you_score,
        round(sum(discover_part), 6) as discover_score,
        max_by(source, (for_you_part, source)) as for_you_source,
        max_by(source, (discover_part, source)) as discover_source,
        bool_or(is_repeat) as is_repeat,
        max(evidence_events) as evidence_events,
        max(evidence_at) as evidence_at,
        max(evidence_item_id) as evidence_item_id
    from weighted
    group by user_key, item_id
),

scored as (
    select
        user_key,
        'for_you' as list,
        for_you_score as score,
        item_id,
        for_you_source as source,
        is_repeat,
        evidence_events,
        evidence_at,
        evidence_item_id
    from blended
    where for_you_score > 0
    union all
    select
        user_key,
        'discover' as list,
        discover_score as score,
        item_id,
        discover_source as source,
        is_repeat,
        evidence_events,
        evidence_at,
        evidence_item_id
    from blended
    where discover_score > 0 and not is_repeat
),

best as (
    select
        user_key,
        list,
        {{ top_rows(
            ['score', 'item_id', 'source', 'is_repeat', 'evidence_events', 'evidence_at', 'evidence_item_id'],
            var('top_n')
        ) }} as items
    from scored
    group by user_key, list
),

exploded as (
    select
        user_key,
        list,
        {{ explode('items') }} as item
    from best
),

final as (
    select
        exploded.user_key,
        exploded.list,
        cast(row_number() over (
            partition by exploded.user_key, exploded.list
            order by item.score desc, item.item_id desc
        ) as integer) as rank,
        item.item_id,
        item.score,
        item.source,
        item.is_repeat,
        item.evidence_events,
        item.evidence_at,
        item.evidence_item_id
    from exploded
)

select * from final
