{{ config(materialized='view') }}

-- Every candidate of every source with its strength. All are between 0 and 1 but buy_again: what a user takes again
-- and again outweighs everything else, as it should where purchases repeat.
with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

personal as (
    select
        user_key,
        item_id,
        source,
        score as strength,
        true as is_repeat
    from {{ ref('buy_again_candidates') }}
    union all
    select
        user_key,
        item_id,
        source,
        strength,
        is_repeat
    from {{ ref('collaborative_candidates') }}
    union all
    select
        user_key,
        item_id,
        source,
        score as strength,
        false as is_repeat
    from {{ ref('content_candidates') }}
),

-- A user who did not consent gets nothing personal.
consented as (
    select
        users.user_number,
        item_stats.item_number,
        personal.source,
        personal.strength,
        personal.is_repeat
    from personal
    inner join users
        on personal.user_key = users.user_key
    inner join item_stats
        on personal.item_id = item_stats.item_id
    where users.has_consent
),

segment_lists as (
    select
        segment_items.segment_id,
        segment_items.item_id,
        item_stats.item_number,
        segment_items.score / max(segment_items.score) over (partition by segment_items.segment_id) as strength
    from {{ ref('segment_items') }} as segment_items
    inner join item_stats
        on segment_items.item_id = item_stats.item_id
    where
        segment_items.segmentation = '{{ var("default_segmentation") }}'
        and segment_items.list = 'popular'
        and segment_items.rank <= {{ var('top_n') }}
),

popular_list as (
    select
        popular_items.item_id,
        item_stats.item_number,
        popular_items.decayed_popularity / max(popular_items.decayed_popularity) over () as strength
    from {{ ref('popular_items') }} as popular_items
    inner join item_stats
        on popular_items.item_id = item_stats.item_id
    where popular_items.rank <= {{ [2 * var('top_n'), var('candidates_per_source')] | min }}
),

listed as (
    select
        users.user_number,
        segment_lists.item_number,
        'segment' as source,
        segment_lists.strength
    from assignments
    inner join users
        on assignments.user_key = users.user_key
    inner join segment_lists
        on assignments.segment_id = segment_lists.segment_id
    where users.has_consent
    union all
    select
        users.user_number,
        popular_list.item_number,
        'popular' as source,
        popular_list.strength
    from users
    cross join popular_list
),

-- Who has met the items of these lists already: few items, so a small join.
listed_items as (
    select
        item_id,
        item_number
    from segment_lists
    union
    select
        item_id,
        item_number
    from popular_list
),

met as (
    select
        users.user_number,
        listed_items.item_number
    from {{ ref('user_item_affinity') }} as affinity
    inner join listed_items
        on affinity.item_id = listed_items.item_id
    inner join users
        on affinity.user_key = users.user_key
),

from_lists as (
    select
        listed.user_number,
        listed.item_number,
        listed.source,
        listed.strength,
        met.user_number is not null as is_repeat
    from listed
    left join met
        on
            listed.user_number = met.user_number
            and listed.item_number = met.item_number
),

combined as (
    select * from consented
    union all
    select * from from_lists
),

final as (
    select * from combined
    where
        false
        {% for source in var('sources') %}
            or source = '{{ source }}'
        {% endfor %}
)

select * from final
