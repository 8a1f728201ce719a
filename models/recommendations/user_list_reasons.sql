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

segment_items as (
    select * from {{ ref('segment_items') }}
    where segmentation = '{{ var("default_segmentation") }}' and list = 'popular'
),

buy_again as (
    select * from {{ ref('buy_again_candidates') }}
),

content as (
    select * from {{ ref('content_candidates') }}
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

evidenced as (
    select
        lists.*,
        buy_again.evidence_events,
        buy_again.evidence_at,
        assignments.segment_id,
        segment_names.name as segment_name,
        users.positive_events as user_events,
        item_stats.title,
        item_stats.users as item_users,
        segment_items.share as segment_share,
        segment_items.lift as segment_lift,
        segment_items.users as segment_item_users,
        coalesce(
            case when lists.source = 'collaborative' then anchors.anchor_item_id end,
            case when lists.source = 'content' then content.evidence_item_id end
        ) as anchor_item_id,
        case when lists.source = 'collaborative' then anchors.together_users end as together_users
    from lists
    inner join users
        on lists.user_key = users.user_key
    inner join item_stats
        on lists.item_id = item_stats.item_id
    left join assignments
        on lists.user_key = assignments.user_key
    left join segment_names
        on assignments.segment_id = segment_names.segment_id
    left join segment_items
        on
            assignments.segment_id = segment_items.segment_id
            and lists.item_id = segment_items.item_id
    left join anchors
        on
            lists.user_key = anchors.user_key
            and lists.item_id = anchors.item_id
    left join buy_again
        on
            lists.user_key = buy_again.user_key
            and lists.item_id = buy_again.item_id
    left join content
        on
            lists.user_key = content.user_key
            and lists.item_id = content.item_id
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
        case evidenced.source
            when 'buy_again'
                then
                    'In this user''s history ' || evidenced.evidence_events
                    || case when evidenced.evidence_events = 1 then ' time, on ' else ' times, last on ' end
                    || cast(cast(evidenced.evidence_at as date) as string)
            when 'collaborative'
                then
                    case
                        when anchor_items.title is not null
                            then
                                'Goes with ' || anchor_items.title || ' from this user''s history: '
                                || evidenced.together_users || ' users have both among their favourites'
                        else 'Chosen by users with a similar history'
                    end
            when 'content'
                then coalesce(
                    'Described much like ' || anchor_items.title || ' from this user''s history',
                    'Described much like this user''s history'
                )
            when 'segment'
                then
                    'Popular in the segment ' || evidenced.segment_name || ': '
                    || cast(round(100 * evidenced.segment_share) as integer) || ' % of its users, '
                    || round(evidenced.segment_lift, 1) || ' times the share among all users'
            when 'rule' then 'Placed here by a rule'
            else 'Popular with everybody: ' || evidenced.item_users || ' users'
        end as reason,
        evidenced.anchor_item_id as evidence_item_id,
        cast(case evidenced.source
            when 'buy_again' then evidenced.evidence_events
            when 'collaborative' then evidenced.together_users
            when 'segment' then evidenced.segment_item_users
            when 'popular' then evidenced.item_users
        end as bigint) as evidence_count,
        evidenced.segment_id,
        evidenced.segment_name,
        {{ fallback_level('evidenced.source', 'evidenced.user_events') }} as fallback_level,
        evidenced.is_repeat,
        evidenced.is_pinned,
        evidenced.is_exploration
    from evidenced
    left join item_stats as anchor_items
        on evidenced.anchor_item_id = anchor_items.item_id
)

select * from final
