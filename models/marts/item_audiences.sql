with candidates as (
    select * from {{ ref('ranked_candidates') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
    where is_active
),

segment_item_stats as (
    select * from {{ ref('segment_item_stats') }}
),

segment_names as (
    select * from {{ ref('segment_labels') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

bans as (
    select distinct
        list,
        segment_id,
        item_number
    from {{ ref('item_rules') }}
    where rule = 'ban'
),

banned_pairs as (
    select
        users.user_number,
        bans.item_number,
        bans.list
    from bans
    inner join assignments
        on bans.segment_id = assignments.segment_id
    inner join users
        on assignments.user_key = users.user_key
),

-- Who did not consent is addressed by nobody's score.
addressable as (
    select
        candidates.item_number,
        candidates.list,
        candidates.score,
        -candidates.user_number as use_order,
        candidates.user_number,
        candidates.source,
        candidates.is_repeat
    from candidates
    inner join users
        on candidates.user_number = users.user_number
    left join bans
        on
            candidates.item_number = bans.item_number
            and candidates.list = bans.list
            and bans.segment_id is null
    left join banned_pairs
        on
            candidates.user_number = banned_pairs.user_number
            and candidates.item_number = banned_pairs.item_number
            and candidates.list = banned_pairs.list
    where users.has_consent and bans.item_number is null and banned_pairs.user_number is null
),

best_users as (
    select
        item_number,
        list,
        {{ top_rows(['score', 'use_order', 'user_number', 'source', 'is_repeat'], var('audience_size')) }} as audience
    from addressable
    group by item_number, list
),

exploded as (
    select
        item_number,
        list,
        {{ explode('audience') }} as entry
    from best_users
),

unpacked as (
    select
        exploded.item_number,
        exploded.list,
        entry.user_number,
        entry.score,
        entry.source,
        entry.is_repeat
    from exploded
),

user_rows as (
    select
        item_stats.item_id,
        item_stats.title,
        'user' as kind,
        unpacked.list,
        row_number() over (
            partition by unpacked.item_number, unpacked.list
            order by unpacked.score desc, unpacked.user_number asc
        ) as rank,
        cast(null as string) as segmentation,
        cast(null as string) as segment_id,
        cast(null as string) as segment_name,
        users.user_key,
        unpacked.score,
        cast(null as bigint) as users,
        cast(null as double) as share,
        cast(null as double) as lift,
        unpacked.source,
        unpacked.is_repeat
    from unpacked
    inner join users
        on unpacked.user_number = users.user_number
    inner join item_stats
        on unpacked.item_number = item_stats.item_number
),

segment_rows as (
    select
        item_stats.item_id,
        item_stats.title,
        'segment' as kind,
        'any' as list,
        row_number() over (
            partition by segment_item_stats.item_id
            order by
                segment_item_stats.lift desc, segment_item_stats.users desc, segment_item_stats.segment_id asc
        ) as rank,
        segment_item_stats.segmentation,
        segment_item_stats.segment_id,
        segment_names.name as segment_name,
        cast(null as string) as user_key,
        segment_item_stats.lift as score,
        segment_item_stats.users,
        segment_item_stats.share,
        segment_item_stats.lift,
        cast(null as string) as source,
        cast(null as boolean) as is_repeat
    from segment_item_stats
    inner join item_stats
        on segment_item_stats.item_id = item_stats.item_id
    inner join segment_names
        on segment_item_stats.segment_id = segment_names.segment_id
    where
        segment_item_stats.lift > 1
        and segment_item_stats.users >= least(
            {{ var('min_users_per_cell') }}, ceil(segment_item_stats.segment_users / 10.0e0)
        )
    qualify rank <= {{ var('audience_size') }}
),

combined as (
    select * from segment_rows
    union all
    select * from user_rows
),

final as (
    select
        cast(item_id as string) as item_id,
        cast(title as string) as title,
        cast(kind as string) as kind,
        cast(list as string) as list,
        cast(rank as integer) as rank,
        cast(segmentation as string) as segmentation,
        cast(segment_id as string) as segment_id,
        cast(segment_name as string) as segment_name,
        cast(user_key as string) as user_key,
        cast(score as double) as score,
        cast(users as bigint) as users,
        cast(share as double) as share,
        cast(lift as double) as lift,
        cast(source as string) as source,
        cast(is_repeat as boolean) as is_repeat
    from combined
)

select * from final
