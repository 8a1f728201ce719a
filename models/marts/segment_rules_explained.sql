with segment_rules as (
    select * from {{ ref('segment_rules') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

final as (
    select
        cast(segment_rules.segmentation as string) as segmentation,
        cast(segment_rules.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(segment_rules.rule_rank as integer) as rule_rank,
        cast(segment_rules.rule as string) as rule,
        cast(segment_rules.users_matched as bigint) as users_matched,
        cast(segment_rules.users_measured as bigint) as users_measured,
        cast(segment_rules.precision as double) as precision,
        cast(segment_rules.recall as double) as recall,
        cast(segment_rules.lift as double) as lift,
        cast(segment_rules.fidelity as double) as fidelity,
        cast(segment_rules.run_id as string) as run_id,
        cast(segment_rules.model_version as string) as model_version
    from segment_rules
    inner join labels
        on segment_rules.segment_id = labels.segment_id
)

select * from final
