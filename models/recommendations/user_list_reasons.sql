{{ config(materialized='view') }}

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
                        when evidenced.source = 'buy_again'
                            then
                                'In this user''s history ' || {{ counted_text('evidenced.evidence_count', 'time') }}
                                || case when evidenced.evidence_count = 1 then ', on ' else ', last on ' end
                                || cast(cast(evidenced.last_positive_event_at as date) as string)
                        else 'Described much like this user''s history'
                    end
            when 'item'
                then
                    case evidenced.source
                        when 'content'
                            then 'Described much like ' || evidence_items.title || ' from this user''s history'
                        when 'new_item'
                            then 'New, described much like ' || evidence_items.title || ' from this user''s history'
                        else
                            'Goes with ' || evidence_items.title || ' from this user''s history: '
                            || evidenced.evidence_count || ' users have both among their favourites'
                    end
            when 'segment'
                then
                    case evidenced.source
                        when 'distinctive' then 'Taken more than elsewhere in the segment '
                        else 'Popular in the segment '
                    end
                    || evidenced.segment_name || ': '
                    || cast(round(100.0e0 * evidenced.evidence_count / segment_sizes.users) as integer)
                    || ' % of its users, ' || round(evidenced.evidence_value, 1) || ' times the share among all users'
            when 'category'
                then
                    'Among the items most taken in ' || evidenced.evidence_id || ', by '
                    || {{ counted_text('evidenced.evidence_count', 'user') }}
                    || '; ' || cast(round(100 * evidenced.evidence_value) as integer)
                    || ' % of this user''s history is there'
            when 'context'
                then
                    'Often taken in ' || evidenced.evidence_id || ': '
                    || {{ counted_text('evidenced.evidence_count', 'user') }}
                    || case
                        when evidenced.evidence_value > 1
                            then ', ' || round(evidenced.evidence_value, 1) || ' times the share among all users'
                        else ''
                    end
            when 'attribute'
                then
                    'Popular among users with ' || evidenced.evidence_id || ': '
                    || {{ counted_text('evidenced.evidence_count', 'user') }}
            when 'user'
                then
                    case evidenced.source
                        when 'social'
                            then
                                'Among the favourites of ' || {{ counted_text('evidenced.evidence_count', 'user') }}
                                || ' related to this one'
                        else 'Chosen by users with a similar history'
                    end
            else
                case evidenced.source
                    when 'rule' then 'Placed here by a rule'
                    when 'rising'
                        then
                            'Rising: ' || round(evidenced.evidence_value, 1)
                            || ' times the events of the {{ var("popularity_half_life_days") }} days before'
                    else 'Popular with everybody: ' || {{ counted_text('evidenced.evidence_count', 'user') }}
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
