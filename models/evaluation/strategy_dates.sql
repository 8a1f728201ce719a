{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}'
    )
}}

with production_strategies as (
    select * from {{ ref('production_strategies') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        wall.as_of,
        production_strategies.list,
        production_strategies.segment_id,
        production_strategies.strategy
    from production_strategies
    cross join wall
)

select * from final
