-- Users placed by SQL alone are in the segment that Python put them in, unless two centres are equally near.
with placed_users as (
    select * from {{ ref('placed_users') }}
),

user_clusters as (
    select * from {{ ref('user_clusters') }}
),

final as (
    select
        placed_users.segmentation,
        placed_users.user_key,
        placed_users.segment_number as placed,
        user_clusters.segment_number as fitted,
        placed_users.distance - user_clusters.distance as difference
    from placed_users
    left join user_clusters
        on
            placed_users.segmentation = user_clusters.segmentation
            and placed_users.user_key = user_clusters.user_key
    where
        user_clusters.user_key is null
        or abs(placed_users.distance - user_clusters.distance) > 0.00001
        or (placed_users.segment_number <> user_clusters.segment_number and placed_users.margin > 0.00001)
)

select * from final
