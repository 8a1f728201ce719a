{{ config(materialized='view') }}

-- Every candidate of every source with its strength. All are between 0 and 1 but buy_again: what a user takes again
-- and again outweighs everything else, as it should where purchases repeat.
with users as (
    select * from {{ ref('user_attributes') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

-- A user who did not consent gets what is popular with everybody.
consenting as (
    select user_key from users
    where has_consent
),

buy_again as (
    select
        user_key,
        item_id,
        source,
        score as strength,
        true as is_repeat,
        evidence_events,
        evidence_at,
        cast(null as string) as evidence_item_id
    from {{ ref('buy_again_candidates') }}
),

collaborative as (
    select
        user_key,
        item_id,
        source,
        strength,
        is_repeat,
        cast(null as bigint) as evidence_events,
        cast(null as timestamp) as evidence_at,
        cast(null as string) as evidence_item_id
    from {{ ref('collaborative_candidates') }}
),

content as (
    select
        user_key,
        item_id,
        source,
        score as strength,
        false as is_repeat,
        cast(null as bigint) as evidence_events,
        cast(null as timestamp) as evidence_at,
        evidence_item_id
    from {{ ref('content_candidates') }}
),

segment_lists as (
    select
        segment_id,
        item_id,
        score / max(score) over (partition by segment_id) as strength
    from {{ ref('segment_items') }}
    where
        segmentation = '{{ var("default_segmentation") }}'
        and list = 'popular'
        and rank <= {{ var('candidates_per_source') }}
),

popular_list as (
    select
        item_id,
        decayed_popularity / max(decayed_popularity) over () as strength
    from {{ ref('popular_items') }}
    where rank <= {{ var('candidates_per_source') }}
),

-- Who has met the items of these lists already: few items, so a small join.
met as (
    select
        user_key,
        item_id
    from {{ ref('user_item_affinity') }}
    where item_id in (
        select segment_lists.item_id from segment_lists
        union all
        select popular_list.item_id from popular_list
    )
),

listed as (
    select
        assignments.user_key,
        segment_lists.item_id,
        'segment' as source,
        segment_lists.strength
    from assignments
    inner join segment_lists
        on assignments.segment_id = segment_lists.segment_id
    inner join consenting
        on assignments.user_key = consenting.user_key
    union all
    select
        users.user_key,
        popular_list.item_id,
        'popular' as source,
        popular_list.strength
    from users
    cross join popular_list
),

from_lists as (
    select
        listed.user_key,
        listed.item_id,
        listed.source,
        listed.strength,
        met.user_key is not null as is_repeat,
        cast(null as bigint) as evidence_events,
        cast(null as timestamp) as evidence_at,
        cast(null as string) as evidence_item_id
    from listed
    left join met
        on
            listed.user_key = met.user_key
            and listed.item_id = met.item_id
),

personal as (
    select * from buy_again
    union all
    select * from collaborative
    union all
    select * from content
),

final as (
    select personal.*
    from personal
    inner join consenting
        on personal.user_key = consenting.user_key
    union all
    select * from from_lists
)

select * from final
