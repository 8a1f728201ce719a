{{ config(materialized='view') }}

{%- set users = counted_text('evidenced.evidence_count', 'user') %}
{%- set history = {
    'times': counted_text('evidenced.evidence_count', 'time'),
    'date': 'cast(evidenced.last_positive_event_at as date)',
} %}
{%- set segment = {
    'percent': 'cast(round(100.0e0 * evidenced.evidence_count / segment_sizes.users) as integer)',
    'lift': 'round(evidenced.evidence_value, 1)',
    'segment': 'evidenced.segment_name',
} %}

-- A view: the mart on top is the only reader, and four million sentences need not be written twice.
with lists as (
    select * from {{ ref('user_lists') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

segment_names as (
    select * from {{ ref('segment_labels') }}
),

segment_sizes as (
    select * from {{ ref('segment_sizes') }}
),

-- The row that the list row comes from.
evidence as (
    select * from {{ ref('source_candidates') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

own_items as (
    select
        matrix_users.user_key,
        array_agg(matrix_items.item_id) as item_ids
    from {{ ref('user_top_items') }} as top_items
    inner join {{ ref('matrix_users') }} as matrix_users
        on top_items.user_index = matrix_users.user_index
    inner join {{ ref('matrix_items') }} as matrix_items
        on top_items.item_index = matrix_items.item_index
    group by matrix_users.user_key
),

-- Every pair of a recommended and an own item, bounded by top_n x neighbour_items_per_user for a user. Own items
-- come as an array: joined as rows, popular items would first be paired with all their neighbours.
own_pairs as (
    select
        lists.user_key,
        lists.item_id,
        {{ explode('own_items.item_ids') }} as own_item_id
    from lists
    inner join own_items
        on lists.user_key = own_items.user_key
    where lists.source = 'collaborative'
),

-- The user's own strong item that most often stands beside the recommended one.
anchors as (
    select
        own_pairs.user_key,
        own_pairs.item_id,
        max_by(own_pairs.own_item_id, (neighbours.score, own_pairs.own_item_id)) as anchor_item_id,
        max_by(neighbours.together_users, (neighbours.score, own_pairs.own_item_id)) as together_users
    from own_pairs
    inner join {{ ref('item_neighbours') }} as neighbours
        on
            own_pairs.own_item_id = neighbours.item_id
            and own_pairs.item_id = neighbours.similar_item_id
    group by own_pairs.user_key, own_pairs.item_id
),

-- A learned source names no evidence itself; where an own item stands beside the recommended one, that is it.
joined as (
    select
        lists.*,
        assignments.segment_id,
        segment_names.name as segment_name,
        users.positive_events as user_events,
        item_stats.title,
        affinity.last_positive_event_at,
        evidence.evidence_kind,
        evidence.evidence_id,
        evidence.evidence_count,
        evidence.evidence_value,
        case when lists.source = 'collaborative' then anchors.anchor_item_id end as anchor_item_id,
        anchors.together_users
    from lists
    inner join users
        on lists.user_key = users.user_key
    inner join item_stats
        on lists.item_id = item_stats.item_id
    left join assignments
        on lists.user_key = assignments.user_key
    left join segment_names
        on assignments.segment_id = segment_names.segment_id
    left join evidence
        on
            lists.user_key = evidence.user_key
            and lists.item_id = evidence.item_id
            and lists.source = evidence.source
    left join anchors
        on
            lists.user_key = anchors.user_key
            and lists.item_id = anchors.item_id
    left join affinity
        on
            lists.user_key = affinity.user_key
            and lists.item_id = affinity.item_id
),

-- The item and the segment that a reason names stand in columns of their own: a condition on the kind inside a left
-- join would make the engine pair far more rows.
evidenced as (
    select
        user_key,
        list,
        rank,
        item_id,
        title,
        score,
        source,
        is_repeat,
        is_pinned,
        is_exploration,
        segment_id,
        segment_name,
        user_events,
        last_positive_event_at,
        case when anchor_item_id is null then evidence_kind else 'item' end as evidence_kind,
        coalesce(anchor_item_id, evidence_id) as evidence_id,
        coalesce(anchor_item_id, case when evidence_kind = 'item' then evidence_id end) as evidence_item_id,
        case when evidence_kind = 'segment' then evidence_id end as evidence_segment_id,
        case when anchor_item_id is null then evidence_count else together_users end as evidence_count,
        evidence_value
    from joined
),

final as (
    select
        evidenced.user_key,
        evidenced.list,
        evidenced.rank,
        evidenced.item_id,
        evidenced.title,
        evidenced.score,
        evidenced.source,
        case evidenced.evidence_kind
            when 'history'
                then
                    case
                        when evidenced.source <> 'buy_again' then {{ phrase('list_like_history') }}
                        when evidenced.evidence_count = 1 then {{ phrase('list_history_once', history) }}
                        else {{ phrase('list_history', history) }}
                    end
            when 'item'
                then
                    case evidenced.source
                        when 'content' then {{ phrase('list_like_item', {'title': 'evidence_items.title'}) }}
                        when 'new_item' then {{ phrase('list_new_like_item', {'title': 'evidence_items.title'}) }}
                        else {{ phrase('list_goes_with', {
                            'users': 'evidenced.evidence_count', 'title': 'evidence_items.title'
                        }) }}
                    end
            when 'segment'
                then
                    case evidenced.source
                        when 'distinctive' then {{ phrase('list_segment_distinctive', segment) }}
                        else {{ phrase('list_segment', segment) }}
                    end
            when 'category'
                then {{ phrase('list_category', {
                    'users': users,
                    'percent': 'cast(round(100 * evidenced.evidence_value) as integer)',
                    'category': 'evidenced.evidence_id',
                }) }}
            when 'context'
                then
                    case
                        when evidenced.evidence_value > 1 then {{ phrase('list_context_lift', {
                            'users': users,
                            'lift': 'round(evidenced.evidence_value, 1)',
                            'context': 'evidenced.evidence_id',
                        }) }}
                        else {{ phrase('list_context', {'users': users, 'context': 'evidenced.evidence_id'}) }}
                    end
            when 'attribute'
                then {{ phrase('list_attribute', {'users': users, 'attributes': 'evidenced.evidence_id'}) }}
            when 'user'
                then
                    case evidenced.source
                        when 'social' then {{ phrase('list_social', {'users': users}) }}
                        else {{ phrase('list_similar_users') }}
                    end
            else
                case evidenced.source
                    when 'rule' then {{ phrase('list_rule') }}
                    when 'rising' then {{ phrase('list_rising', {
                        'times': 'round(evidenced.evidence_value, 1)', 'days': var('popularity_half_life_days')
                    }) }}
                    else {{ phrase('list_popular', {'users': users}) }}
                end
        end as reason,
        evidenced.evidence_kind,
        evidenced.evidence_id,
        cast(evidenced.evidence_count as bigint) as evidence_count,
        evidenced.segment_id,
        evidenced.segment_name,
        {{ fallback_level('evidenced.source', 'evidenced.user_events') }} as fallback_level,
        evidenced.is_repeat,
        evidenced.is_pinned,
        evidenced.is_exploration
    from evidenced
    left join item_stats as evidence_items
        on evidenced.evidence_item_id = evidence_items.item_id
    left join segment_sizes
        on evidenced.evidence_segment_id = segment_sizes.segment_id
)

select * from final
