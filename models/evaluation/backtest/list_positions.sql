with strategies as (
    select
        'strategy' as family,
        strategy,
        list,
        user_key,
        rank,
        item_id
    from {{ ref('evaluated_lists') }}
    union all
    select
        'segmentation' as family,
        segmentation as strategy,
        list,
        user_key,
        rank,
        item_id
    from {{ ref('segmentation_lists') }}
),

users as (
    select * from {{ ref('backtest_users') }}
),

items as (
    select * from {{ ref('backtest_items') }}
),

listed as (
    select
        strategies.family,
        strategies.strategy,
        strategies.list,
        users.user_number,
        strategies.rank,
        items.item_number,
        items.category,
        items.information,
        items.is_active,
        items.is_supported,
        items.is_tail
    from strategies
    inner join users
        on strategies.user_key = users.user_key
    left join items
        on strategies.item_id = items.item_id
    where strategies.list in ('for_you', 'discover')
),

-- Lists are filtered before they are cut: the items behind one that is left out move up.
scoped as (
    {% for scope, condition in scope_conditions().items() %}
        select
            family,
            strategy,
            list,
            '{{ scope }}' as scope,
            user_number,
            row_number() over (partition by family, strategy, list, user_number order by rank asc) as rank,
            item_number,
            category,
            information,
            is_active,
            is_tail
        from listed
        where {{ condition }} {{ "and family = 'strategy'" if scope == 'all' }}
        {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select
        family,
        strategy,
        list,
        scope,
        user_number,
        cast(rank as integer) as rank,
        item_number,
        information,
        is_active,
        is_tail,
        -- Items of the same category further up; of none where the item has no category.
        case
            when category is null then 0
            else row_number() over (
                partition by family, strategy, list, scope, user_number, category
                order by rank asc
            ) - 1
        end as same_category_above
    from scoped
    where rank <= case when family = 'strategy' then {{ list_cuts() | max }} else 20 end
)

select * from final
