-- Fails when a rule that holds for everybody is not kept: a banned item is shown, a list has more of a category than
-- its cap allows, or the item of a pin stands at another place than its own (shorter lists may not have the place).
with rules as (
    select * from {{ ref('checked_rules') }}
    where is_in_force and segment_id is null
),

lists as (
    select
        recommendations.user_key,
        recommendations.list,
        recommendations.rank,
        recommendations.item_id,
        recommendations.is_pinned,
        item_stats.category,
        count(*) over (
            partition by recommendations.user_key, recommendations.list
        ) as list_length
    from {{ ref('user_recommendations') }} as recommendations
    inner join {{ ref('item_stats') }} as item_stats
        on recommendations.item_id = item_stats.item_id
),

broken as (
    select
        lists.user_key,
        lists.list,
        rules.rule_number
    from lists
    inner join rules
        on coalesce(lists.item_id = rules.item_id, lists.category = rules.category)
    where
        (rules.list is null or rules.list = lists.list)
        and (
            rules.rule = 'ban'
            or (rules.rule = 'pin' and lists.rank <> rules.value and lists.list_length = {{ var('top_n') }})
        )
),

crowded as (
    select
        lists.user_key,
        lists.list,
        rules.rule_number
    from lists
    inner join rules
        on lists.category = rules.category
    where rules.rule = 'cap' and (rules.list is null or rules.list = lists.list)
    group by lists.user_key, lists.list, rules.rule_number, rules.value
    having count(*) filter (where not lists.is_pinned) > rules.value
),

final as (
    select * from broken
    union all
    select * from crowded
)

select * from final
