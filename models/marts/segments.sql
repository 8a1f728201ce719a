with sizes as (
    select * from {{ ref('segment_sizes') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

descriptions as (
    select * from {{ ref('segment_descriptions') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
),

wall as (
    select * from {{ ref('wall') }}
),

-- Segments of a hierarchy lie in one on the next coarser level.
parents as (
    select
        segmentation || '-' || lpad(cast(segment_number as string), 2, '0') as segment_id,
        parent_segmentation || '-' || lpad(cast(parent_number as string), 2, '0') as parent_segment_id
    from {{ ref('cluster_centroids') }}
    where parent_number is not null
),

first_dates as (
    select
        size_dates.segment_id,
        min(size_dates.as_of) as first_as_of
    from {{ ref('segment_size_dates') }} as size_dates
    inner join wall
        on size_dates.as_of <= wall.as_of
    group by size_dates.segment_id
),

-- The member nearest to the centre stands for the segment.
centres as (
    select
        segment_id,
        min_by(user_key, (distance, user_key)) filter (where distance is not null) as centre_user_key,
        {{ stable_mean('distance') }} as mean_distance,
        {{ stable_mean('margin') }} as mean_margin,
        max(run_id) as run_id,
        max(model_version) as model_version
    from assignments
    group by segment_id
),

final as (
    select
        cast(sizes.segmentation as string) as segmentation,
        cast(sizes.segment_id as string) as segment_id,
        cast(labels.name as string) as name,
        cast(labels.name_source as string) as name_source,
        cast(labels.name_terms as string) as name_terms,
        cast(labels.name_evidence as string) as name_evidence,
        cast(descriptions.description as string) as description,
        cast(descriptions.distinguishing_categories as string) as distinguishing_categories,
        cast(descriptions.distinguishing_features as string) as distinguishing_features,
        cast(sizes.users as bigint) as users,
        cast(sizes.share as double) as share,
        cast(parents.parent_segment_id as string) as parent_segment_id,
        cast(sizes.is_unassigned as boolean) as is_unassigned,
        cast(centres.centre_user_key as string) as centre_user_key,
        cast(round(centres.mean_distance, 4) as double) as mean_distance,
        cast(round(centres.mean_margin, 4) as double) as mean_margin,
        cast(coalesce(first_dates.first_as_of, wall.as_of) as date) as born_on,
        cast(wall.as_of as timestamp) as as_of,
        cast(centres.run_id as string) as run_id,
        cast(centres.model_version as string) as model_version
    from sizes
    inner join labels
        on sizes.segment_id = labels.segment_id
    inner join descriptions
        on sizes.segment_id = descriptions.segment_id
    inner join centres
        on sizes.segment_id = centres.segment_id
    left join parents
        on sizes.segment_id = parents.segment_id
    left join first_dates
        on sizes.segment_id = first_dates.segment_id
    cross join wall
)

select * from final
