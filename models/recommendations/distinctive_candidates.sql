{{ config(materialized='view') }}

with assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

segment_list as (
    select * from {{ ref('segment_items') }}
    where
        segmentation = '{{ var("default_segmentation") }}'
        and list = 'distinctive'
        and rank <= {{ var('candidates_per_source') }}
),

listed as (
    select
        assignments.user_key,
        segment_list.item_id,
        segment_list.score,
        'segment' as evidence_kind,
        segment_list.segment_id as evidence_id,
        segment_list.users as evidence_count,
        segment_list.lift as evidence_value
    from assignments
    inner join segment_list
        on assignments.segment_id = segment_list.segment_id
),

{{ listed_candidates('distinctive', 'segment_list') }}

select * from final
