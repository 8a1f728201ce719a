with user_clusters as (
    select * from {{ ref('user_clusters') }}
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

made_in_sql as (
    {% for model, version in [
        ('rfm_segments', 'rfm-1'), ('demographic_segments', 'demographic-1'), ('rule_segments', 'rules-1'),
        ('interest_segments', 'top_interest-1'),
    ] %}
        select
            segmentation,
            user_key,
            segment_code,
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
