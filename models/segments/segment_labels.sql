with sizes as (
    select * from {{ ref('segment_sizes') }}
),

cluster_names as (
    select * from {{ ref('cluster_names') }}
),

texts as (
    select * from {{ ref('segment_texts') }}
    where source = 'llm'
),

overrides as (
    select * from {{ ref('segment_name_overrides') }}
),

final as (
    select
        sizes.segmentation,
        sizes.segment_id,
        case
            when overrides.name is not null then overrides.name
            when sizes.is_unassigned then {{ phrase('name_unassigned') }}
            else coalesce(sizes.segment_name, texts.name, cluster_names.name, sizes.segment_id)
        end as name,
        case
            when overrides.name is not null then 'override'
            when sizes.is_unassigned then 'rule'
            when sizes.segment_name is not null then 'rule'
            else coalesce(texts.source, cluster_names.source, 'id')
        end as name_source,
        cluster_names.terms as name_terms,
        cluster_names.evidence as name_evidence
    from sizes
    left join cluster_names
        on sizes.segment_id = cluster_names.segment_id
    left join texts
        on sizes.segment_id = texts.segment_id
    left join overrides
        on sizes.segment_id = overrides.segment_id
)

select * from final
