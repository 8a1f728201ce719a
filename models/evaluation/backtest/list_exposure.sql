with cuts as (
    {% for cut in list_cuts() %}
        select {{ cut }} as k
        {{ "union all" if not loop.last }}
    {% endfor %}
),

positions as (
    select * from {{ ref('list_positions') }}
    where family = 'strategy' and is_active
),

user_groups as (
    select * from {{ ref('backtest_groups') }}
),

items as (
    select * from {{ ref('backtest_items') }}
    where is_active
),

recommendable as (
    {% for scope, condition in scope_conditions().items() %}
        select
            '{{ scope }}' as scope,
            count(*) as items
        from items
        where {{ condition }}
        {{ "union all" if not loop.last }}
    {% endfor %}
),

-- Each position is counted once, under the shortest cut that holds it; longer cuts add up the shorter ones.
counted as (
    select
        positions.strategy,
        positions.list,
        positions.scope,
        user_groups.group_kind,
        user_groups.group_value,
        positions.item_number,
        positions.is_tail,
        {% for cut in list_cuts() %}
            count(*) filter (where positions.rank <= {{ cut }}) as shown_{{ cut }},
        {% endfor %}
        count(*) as shown
    from positions
    inner join user_groups
        on positions.user_number = user_groups.user_number
    group by
        positions.strategy, positions.list, positions.scope, user_groups.group_kind, user_groups.group_value,
        positions.item_number, positions.is_tail
),

at_cut as (
    select
        counted.strategy,
        counted.list,
        counted.scope,
        cuts.k,
        counted.group_kind,
        counted.group_value,
        counted.item_number,
        counted.is_tail,
        case cuts.k
            {% for cut in list_cuts() %}
                when {{ cut }} then counted.shown_{{ cut }}
            {% endfor %}
        end as shown
    from counted
    cross join cuts
),

ordered as (
    select
        *,
        row_number() over (
            partition by strategy, list, scope, k, group_kind, group_value
            order by shown asc, item_number asc
        ) as place
    from at_cut
    where shown > 0
),

summed as (
    select
        strategy,
        list,
        scope,
        k,
        group_kind,
        group_value,
        count(*) as shown_items,
        sum(shown) as shown,
        sum(case when is_tail then shown else 0 end) as tail_shown,
        sum(place * shown) as placed
    from ordered
    group by strategy, list, scope, k, group_kind, group_value
),

-- Items that are never shown stand before all others: they shift the places of the shown ones.
final as (
    select
        summed.strategy,
        summed.list,
        summed.scope,
        summed.k,
        summed.group_kind,
        summed.group_value,
        summed.shown_items,
        recommendable.items as recommendable_items,
        round(summed.shown_items / cast(recommendable.items as double), 6) as coverage,
        round(
            (
                2.0e0 * (summed.placed / cast(summed.shown as double) + recommendable.items - summed.shown_items)
                - recommendable.items - 1
            ) / recommendable.items, 6
        ) as gini,
        round(summed.tail_shown / cast(summed.shown as double), 6) as tail_share
    from summed
    inner join recommendable
        on summed.scope = recommendable.scope
)

select * from final
