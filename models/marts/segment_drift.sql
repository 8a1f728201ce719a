with size_dates as (
    select * from {{ ref('segment_size_dates') }}
),

share_drift as (
    select * from {{ ref('segment_share_drift') }}
),

shifts as (
    select * from {{ ref('segment_shifts') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

wall as (
    select * from {{ ref('wall') }}
),

segment_rows as (
    select
        size_dates.segmentation,
        size_dates.as_of,
        size_dates.segment_id,
        size_dates.is_unassigned,
        size_dates.users,
        size_dates.users / cast(size_dates.all_users as double) as share,
        since_last.reference_share as last_share,
        since_last.psi as psi_last,
        since_fitted.psi as psi_fitted,
        size_dates.mean_margin,
        shifts.centroid_shift
    from size_dates
    inner join wall
        on size_dates.as_of <= wall.as_of
    left join share_drift as since_last
        on
            size_dates.segmentation = since_last.segmentation
            and size_dates.as_of = since_last.as_of
            and size_dates.segment_id = since_last.segment_id
            and since_last.reference = 'last'
    left join share_drift as since_fitted
        on
            size_dates.segmentation = since_fitted.segmentation
            and size_dates.as_of = since_fitted.as_of
            and size_dates.segment_id = since_fitted.segment_id
            and since_fitted.reference = 'fitted'
    left join shifts
        on
            size_dates.segmentation = shifts.segmentation
            and size_dates.as_of = shifts.as_of
            and size_dates.segment_id = shifts.segment_id
),

-- With the parts of segments that are gone.
index_sums as (
    select
        segmentation,
        as_of,
        {{ stable_sum("case when reference = 'last' then psi end", 9) }} as psi_last,
        {{ stable_sum("case when reference = 'fitted' then psi end", 9) }} as psi_fitted,
        max(case when reference = 'last' then psi_by_chance end) as psi_last_by_chance
    from share_drift
    group by segmentation, as_of
),

-- Segments weigh by their users; those without a margin or a shift do not count.
segment_means as (
    select
        segmentation,
        as_of,
        sum(users) as users,
        sum(case when is_unassigned then users else 0 end) as unassigned_users,
        {{ stable_sum('round(mean_margin * users, 6)') }}
        / sum(case when mean_margin is not null then users end) as mean_margin,
        {{ stable_sum('round(centroid_shift * users, 6)') }}
        / sum(case when centroid_shift is not null then users end) as centroid_shift
    from segment_rows
    group by segmentation, as_of
),

combined as (
    select
        segmentation,
        as_of,
        segment_id,
        users,
        share,
        last_share,
        psi_last,
        psi_fitted,
        cast(null as string) as verdict,
        cast(null as double) as unassigned_share,
        mean_margin,
        centroid_shift
    from segment_rows
    union all
    select
        segment_means.segmentation,
        segment_means.as_of,
        '(all)' as segment_id,
        segment_means.users,
        1 as share,
        case when index_sums.psi_last is not null then 1 end as last_share,
        index_sums.psi_last,
        index_sums.psi_fitted,
        {{ stability_word('index_sums.psi_last', 'index_sums.psi_last_by_chance') }} as verdict,
        segment_means.unassigned_users / cast(segment_means.users as double) as unassigned_share,
        segment_means.mean_margin,
        segment_means.centroid_shift
    from segment_means
    left join index_sums
        on
            segment_means.segmentation = index_sums.segmentation
            and segment_means.as_of = index_sums.as_of
),

final as (
    select
        cast(combined.segmentation as string) as segmentation,
        cast(combined.as_of as timestamp) as as_of,
        cast(combined.segment_id as string) as segment_id,
        cast(coalesce(labels.name, combined.segment_id) as string) as segment_name,
        cast(combined.users as bigint) as users,
        cast(round(combined.share, 6) as double) as share,
        cast(combined.last_share as double) as last_share,
        cast(round(combined.psi_last, 6) as double) as psi_last,
        cast(round(combined.psi_fitted, 6) as double) as psi_fitted,
        cast(combined.verdict as string) as verdict,
        cast(round(combined.unassigned_share, 6) as double) as unassigned_share,
        cast(round(combined.mean_margin, 6) as double) as mean_margin,
        cast(round(combined.centroid_shift, 6) as double) as centroid_shift
    from combined
    left join labels
        on combined.segment_id = labels.segment_id
)

select * from final
