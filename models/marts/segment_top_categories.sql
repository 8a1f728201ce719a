with category_stats as (
    select * from {{ ref('segment_category_stats') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

category_labels as (
    select * from {{ ref('category_labels') }}
),

publishable as (
    select
        *,
        row_number() over (partition by segment_id order by distinctiveness desc, category asc) as rank
    from category_stats
    where
        distinctiveness > 0
        and users >= least({{ var('min_users_per_cell') }}, ceil(segment_users / 10.0e0))
),

final as (
    select
        cast(publishable.segmentation as string) as segmentation,
        cast(publishable.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(publishable.rank as integer) as rank,
        cast(publishable.category as string) as category,
        cast(coalesce(category_labels.label, publishable.category) as string) as category_label,
        cast(publishable.users as bigint) as users,
        cast(publishable.user_share as double) as user_share,
        cast(publishable.share as double) as share,
        cast(publishable.overall_share as double) as overall_share,
        cast(publishable.lift as double) as lift
    from publishable
    inner join labels
        on publishable.segment_id = labels.segment_id
    left join category_labels
        on publishable.category = category_labels.category
    where publishable.rank <= {{ var('segment_top_n') }}
)

select * from final
