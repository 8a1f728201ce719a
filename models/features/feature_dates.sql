{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}'
    )
}}

with user_features as (
    select * from {{ ref('user_features') }}
),

wall as (
    select * from {{ ref('wall') }}
),

feature_values as (
    {{ watched_feature_values('user_features') }}
),

decile_edges as (
    select
        feature,
        {{ deciles('value') }} as edges
    from feature_values
    group by feature
),

-- Equal deciles are one edge: a value that many users share has a bin of its own.
edges as (
    select distinct
        feature,
        round(edge, 6) as upper_edge
    from (
        select
            feature,
            {{ explode('edges') }} as edge
        from decile_edges
    ) as exploded
),

bins as (
    select
        feature,
        upper_edge,
        cast(row_number() over (partition by feature order by upper_edge) as integer) as bin
    from edges
    union all
    select
        feature,
        cast(null as double) as upper_edge,
        cast(count(*) + 1 as integer) as bin
    from edges
    group by feature
),

counted as (
    {{ users_up_to_edge('bins', 'feature_values') }}
),

final as (
    select
        wall.as_of,
        counted.feature,
        counted.bin,
        counted.upper_edge,
        cast(
            counted.users_up_to
            - lag(counted.users_up_to, 1, 0) over (partition by counted.feature order by counted.bin)
            as bigint
        ) as users
    from counted
    cross join wall
)

select * from final
