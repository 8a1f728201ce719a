{{ config(materialized='view') }}

with cells as (
    select * from {{ ref('user_attribute_cells') }}
),

attribute_list as (
    select * from {{ ref('attribute_items') }}
),

filled as (
    select distinct cell from attribute_list
),

-- The narrowest cell with enough users that the user falls into.
narrowest as (
    select
        cells.user_key,
        max_by(cells.cell, cells.attribute_count) as cell
    from cells
    inner join filled
        on cells.cell = filled.cell
    where cells.positive_events < {{ var('thin_history_events') }}
    group by cells.user_key
),

listed as (
    select
        narrowest.user_key,
        attribute_list.item_id,
        attribute_list.score,
        'attribute' as evidence_kind,
        attribute_list.cell as evidence_id,
        attribute_list.users as evidence_count,
        attribute_list.lift as evidence_value
    from narrowest
    inner join attribute_list
        on narrowest.cell = attribute_list.cell
),

{{ listed_candidates('attribute', 'attribute_list') }}

select * from final
