with explaining_rules as (
    select * from {{ ref('explaining_rules') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

final as (
    select
        cast(explaining_rules.segmentation as string) as segmentation,
        cast(explaining_rules.segment_id as string) as segment_id,
        cast(labels.name as string) as segment_name,
        cast(explaining_rules.rule_rank as integer) as rule_rank,
        cast(explaining_rules.rule as string) as rule,
        cast(explaining_rules.users_matched as bigint) as users_matched,
        cast(explaining_rules.users_measured as bigint) as users_measured,
        cast(explaining_rules.precision as double) as precision,
        cast(explaining_rules.recall as double) as recall,
        cast(explaining_rules.lift as double) as lift,
        cast(explaining_rules.fidelity as double) as fidelity,
        cast(explaining_rules.run_id as string) as run_id,
        cast(explaining_rules.model_version as string) as model_version
    from explaining_rules
    inner join labels
        on explaining_rules.segment_id = labels.segment_id
)

select * from final
