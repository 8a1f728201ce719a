with assignments as (
    select * from {{ ref('segment_assignments') }}
    where not is_unassigned
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
    where positive_events > 0
),

sizes as (
    select * from {{ ref('segment_sizes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

-- Users of each item over all users with events: what a segment is compared with.
everyone as (
    select cast(count(distinct user_key) as double) as users
    from affinity
),

counted as (
    select
        assignments.segmentation,
        assignments.segment_id,
        affinity.item_id,
        count(*) as users,
        sum(affinity.positive_events) as events,
        {{ stable_sum('affinity.affinity') }} as affinity,
        {{ stable_sum('affinity.recent_events') }} as decayed_popularity
    from affinity
    inner join assignments
        on affinity.user_key = assignments.user_key
    group by assignments.segmentation, assignments.segment_id, affinity.item_id
),

shared as (
    select
        counted.*,
        sizes.users as segment_users,
        counted.users / cast(sizes.users as double) as share,
        item_stats.users / everyone.users as overall_share
    from counted
    inner join sizes
        on counted.segment_id = sizes.segment_id
    inner join item_stats
        on counted.item_id = item_stats.item_id
    cross join everyone
),

final as (
    select
        segmentation,
        segment_id,
        item_id,
        users,
        segment_users,
        cast(events as bigint) as events,
        affinity,
        decayed_popularity,
        round(share, 6) as share,
        round(overall_share, 6) as overall_share,
        round(share / nullif(overall_share, 0), 4) as lift,
        round(share * ln(share / nullif(overall_share, 0)), 6) as distinctiveness
    from shared
)

select * from final
