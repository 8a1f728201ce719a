-- Warns of rules in force that change nothing: their segment is none of default_segmentation, or their item may not be
-- shown. A warning, because segments and stocks come and go.
{{ config(severity='warn') }}

with rules as (
    select * from {{ ref('checked_rules') }}
    where is_in_force
),

segments as (
    select distinct segment_id
    from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

item_stats as (
    select * from {{ ref('item_stats') }}
)

select
    rules.rule_number,
    rules.rule,
    rules.segment_id,
    rules.item_id
from rules
left join segments
    on rules.segment_id = segments.segment_id
left join item_stats
    on rules.item_id = item_stats.item_id
where
    (rules.segment_id is not null and segments.segment_id is null)
    or (rules.rule in ('pin', 'boost') and rules.item_id is not null and not coalesce(item_stats.is_active, false))
