with user_clusters as (
    select * from {{ ref('user_clusters') }}
),

cluster_centroids as (
    select * from {{ ref('cluster_centroids') }}
),

clusters as (
    select
        user_clusters.segmentation,
        user_clusters.user_key,
        coalesce(lpad(cast(user_clusters.segment_number as string), 2, '0'), 'unassigned') as segment_code,
        lpad(cast(user_clusters.second_segment_number as string), 2, '0') as second_segment_code,
        cluster_centroids.name as segment_name,
        user_clusters.distance,
        user_clusters.second_distance,
        user_clusters.margin,
        case
            when user_clusters.segment_number is null then {{ phrase('reason_no_segment') }}
            when user_clusters.second_distance is null then {{ phrase('reason_only_segment') }}
            when not cluster_centroids.is_centroid and user_clusters.probability is not null
                then {{ phrase('reason_probability', {'probability': 'round(user_clusters.probability, 2)'}) }}
            else
                {{ phrase('reason_nearest', {
                    'distance': 'round(user_clusters.distance, 2)',
                    'second_distance': 'round(user_clusters.second_distance, 2)',
                }) }}
        end as reason,
        user_clusters.run_id,
        user_clusters.model_version
    from user_clusters
    left join cluster_centroids
        on
            user_clusters.segmentation = cluster_centroids.segmentation
            and user_clusters.segment_number = cluster_centroids.segment_number
),

made_in_sql as (
    {% for model, version in [
        ('rfm_segments', 'rfm-1'), ('demographic_segments', 'demographic-1'), ('rule_segments', 'rules-1'),
        ('interest_segments', 'top_interest-1'),
    ] %}
        select
            segmentation,
            user_key,
            segment_code,
            cast(null as string) as second_segment_code,
            segment_name,
            cast(null as double) as distance,
            cast(null as double) as second_distance,
            cast(null as double) as margin,
            reason,
            'sql' as run_id,
            '{{ version }}' as model_version
        from {{ ref(model) }}
        {{ "union all" if not loop.last }}
    {% endfor %}
),

combined as (
    select * from clusters
    union all
    select * from made_in_sql
),

final as (
    select
        segmentation,
        user_key,
        segmentation || '-' || segment_code as segment_id,
        segmentation || '-' || second_segment_code as second_segment_id,
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
