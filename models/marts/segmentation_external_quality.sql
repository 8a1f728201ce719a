with agreement as (
    select * from {{ ref('segmentation_agreement') }}
),

final as (
    select
        cast(segmentation as string) as segmentation,
        cast(users as bigint) as users,
        cast(unknown_users as bigint) as unknown_users,
        cast(ambiguous_users as bigint) as ambiguous_users,
        cast(labels as bigint) as labels,
        cast(segments as bigint) as segments,
        cast(adjusted_rand_index as double) as adjusted_rand_index,
        cast(normalised_mutual_information as double) as normalised_mutual_information,
        cast(accuracy as double) as accuracy,
        cast(precision as double) as precision,
        cast(recall as double) as recall,
        cast(f1 as double) as f1
    from agreement
)

select * from final
