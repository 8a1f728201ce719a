with user_clusters as (
    select * from {{ ref('user_clusters') }}
),

rfm_segments as (
    select * from {{ ref('rfm_segments') }}
),

demographic_segments as (
    select * from {{ ref('demographic_segments') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

clusters as (
    select
        segmentation,
        user_key,
        case when cluster >= 0 then lpad(cast(cluster + 1 as string), 2, '0') else 'unassigned' end as segment_code,
        cast(null as string) as segment_name,
        distance,
        second_distance,
        margin,
        case
            when cluster < 0 then 'In no dense group: too far from every other user'
            when second_distance is null then 'The only segment'
            else
                'Nearest centre at ' || round(distance, 2) || ', the second at ' || round(second_distance, 2)
        end as reason,
        run_id,
        model_version
    from user_clusters
),

rfm as (
    select
        'rfm' as segmentation,
        user_key,
        segment_code,
        segment_name,
        cast(null as double) as distance,
        cast(null as double) as second_distance,
        cast(null as double) as margin,
        reason,
        'sql' as run_id,
        'rfm-1' as model_version
    from rfm_segments
),

demographic as (
    select
        'demographic' as segmentation,
        users.user_key,
        coalesce(demographic_segments.segment_code, 'unassigned') as segment_code,
        demographic_segments.segment_name,
        cast(null as double) as distance,
        cast(null as double) as second_distance,
        cast(null as double) as margin,
        coalesce(demographic_segments.reason, 'No attributes known') as reason,
        'sql' as run_id,
        'demographic-1' as model_version
    from users
    left join demographic_segments
        on users.user_key = demographic_segments.user_key
),

combined as (
    select * from clusters
    union all
    select * from rfm
    union all
    select * from demographic
),

final as (
    select
        segmentation,
        user_key,
        segmentation || '-' || segment_code as segment_id,
        segment_name,
        segment_code = 'unassigned' as is_unassigned,
        cast(distance as double) as distance,
        cast(second_distance as double) as second_distance,
        cast(margin as double) as margin,
        reason,
        run_id,
        model_version
    from combined
)

select * from final
