with assignments as (
    select * from {{ ref('segment_assignments') }}
    where not is_unassigned
),

category_affinity as (
    select * from {{ ref('user_category_affinity') }}
),

sizes as (
    select * from {{ ref('segment_sizes') }}
),

everyone as (
    select cast(count(distinct user_key) as double) as users
    from category_affinity
),

overall as (
    select
        category_affinity.category,
        count(*) / max(everyone.users) as overall_user_share,
        {{ stable_sum('category_affinity.share') }} / max(everyone.users) as overall_share
    from category_affinity
    cross join everyone
    group by category_affinity.category
),

counted as (
    select
        assignments.segmentation,
        assignments.segment_id,
        category_affinity.category,
        count(*) as users,
        {{ stable_sum('category_affinity.share') }} as shares
    from category_affinity
    inner join assignments
        on category_affinity.user_key = assignments.user_key
    group by assignments.segmentation, assignments.segment_id, category_affinity.category
),

shared as (
    select
        counted.segmentation,
        counted.segment_id,
        counted.category,
        counted.users,
        sizes.users as segment_users,
        counted.users / cast(sizes.users as double) as user_share,
        overall.overall_user_share,
        counted.shares / sizes.users as share,
        overall.overall_share
    from counted
    inner join sizes
        on counted.segment_id = sizes.segment_id
    inner join overall
        on counted.category = overall.category
),

final as (
    select
        segmentation,
        segment_id,
        category,
        users,
        segment_users,
        round(user_share, 6) as user_share,
        round(overall_user_share, 6) as overall_user_share,
        round(share, 6) as share,
        round(overall_share, 6) as overall_share,
        round(share / nullif(overall_share, 0), 4) as lift,
        round(share * ln(share / nullif(overall_share, 0)), 6) as distinctiveness
    from shared
    where share > 0
)

select * from final
