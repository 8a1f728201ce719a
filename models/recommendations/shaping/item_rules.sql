-- Rules in force, by list and item: rules about a category are rules about each of its items.
with rules as (
    select * from {{ ref('checked_rules') }}
    where is_in_force
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

lists as (
    select 'for_you' as list
    union all
    select 'discover' as list
),

by_item as (
    select
        rules.rule_number,
        rules.list,
        rules.segment_id,
        rules.rule,
        rules.value,
        item_stats.item_number,
        item_stats.is_active
    from rules
    inner join item_stats
        on rules.item_id = item_stats.item_id
),

by_category as (
    select
        rules.rule_number,
        rules.list,
        rules.segment_id,
        rules.rule,
        rules.value,
        item_stats.item_number,
        item_stats.is_active
    from rules
    inner join item_stats
        on rules.category = item_stats.category
    where rules.rule in ('ban', 'boost')
),

combined as (
    select * from by_item
    union all
    select * from by_category
),

final as (
    select
        combined.rule_number,
        lists.list,
        combined.segment_id,
        combined.item_number,
        combined.rule,
        combined.value,
        combined.is_active
    from combined
    cross join lists
    where combined.list is null or combined.list = lists.list
)

select * from final
