with ranking_weights as (
    select * from {{ ref('ranking_weights') }}
    where feature <> 'intercept'
),

segments as (
    select * from {{ ref('segment_labels') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

everyone as (
    select * from ranking_weights
    where segment_id = 'everyone'
),

own as (
    select * from ranking_weights
    where segment_id <> 'everyone'
),

-- Every segment has a row; without weights of its own it is served by those of everyone.
strategies as (
    select
        everyone.list,
        segments.segment_id,
        segments.name as segment_name,
        everyone.feature,
        coalesce(own.weight, everyone.weight) as weight,
        everyone.weight as weight_of_everyone,
        coalesce(own.taken_examples, 0) as taken_examples,
        own.segment_id is not null as has_own_weights,
        everyone.run_id,
        everyone.model_version
    from everyone
    cross join segments
    left join own
        on
            everyone.list = own.list
            and everyone.feature = own.feature
            and segments.segment_id = own.segment_id
),

final as (
    select
        cast(list as string) as list,
        cast(segment_id as string) as segment_id,
        cast(segment_name as string) as segment_name,
        cast(feature as string) as feature,
        cast(weight as double) as weight,
        cast(weight_of_everyone as double) as weight_of_everyone,
        cast(weight - weight_of_everyone as double) as difference,
        cast(taken_examples as bigint) as taken_examples,
        cast(has_own_weights as boolean) as has_own_weights,
        cast(run_id as string) as run_id,
        cast(model_version as string) as model_version
    from strategies
)

select * from final
