{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook='{{ forget_this_wall() }}',
        post_hook=['{{ forget_erased_users() }}', '{{ forget_oldest_walls() }}']
    )
}}

with assignments as (
    select * from {{ ref('segment_assignments') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        wall.as_of,
        assignments.segmentation,
        assignments.user_key,
        assignments.segment_id,
        assignments.is_unassigned,
        assignments.margin
    from assignments
    cross join wall
)

select * from final
