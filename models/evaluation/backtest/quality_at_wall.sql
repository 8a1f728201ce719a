with user_list_metrics as (
    select * from {{ ref('user_list_metrics') }}
    where family = 'strategy'
),

user_groups as (
    select * from {{ ref('backtest_groups') }}
),

intervals as (
    select * from {{ ref('metric_intervals') }}
    where family = 'strategy'
),

exposure as (
    select * from {{ ref('list_exposure') }}
),

wall as (
    select * from {{ ref('wall') }}
),

summed as (
    select
        metrics.strategy,
        metrics.list,
        metrics.scope,
        metrics.k,
        user_groups.group_kind,
        user_groups.group_value,
        count(*) as users,
        count(*) filter (where metrics.listed > 0) as users_with_list,
        {{ stable_mean('metrics.precision') }} as precision,
        {{ stable_mean('metrics.recall') }} as recall,
        {{ stable_mean('metrics.f1') }} as f1,
        {{ stable_mean('metrics.ndcg') }} as ndcg,
        {{ stable_mean('metrics.average_precision') }} as map,
        {{ stable_mean('metrics.reciprocal_rank') }} as mrr,
        {{ stable_mean('case when metrics.hits > 0 then 1 else 0 end') }} as hit_rate,
        {{ stable_mean('metrics.diversity') }} as diversity,
        {{ stable_mean('metrics.novelty') }} as novelty
    from user_list_metrics as metrics
    inner join user_groups
        on metrics.user_number = user_groups.user_number
    group by
        metrics.strategy, metrics.list, metrics.scope, metrics.k, user_groups.group_kind, user_groups.group_value
),

final as (
    select
        wall.as_of,
        wall.as_of + interval '{{ var("backtest_days") }}' day as until,
        summed.strategy,
        summed.list,
        summed.scope,
        summed.k,
        summed.group_kind,
        summed.group_value,
        summed.users,
        summed.users_with_list,
        {% for metric in ['precision', 'recall', 'f1', 'ndcg', 'map', 'mrr', 'hit_rate'] %}
            round(summed.{{ metric }}, 6) as {{ metric }},
        {% endfor %}
        own.low as ndcg_low,
        own.high as ndcg_high,
        to_popular.ndcg as ndcg_over_popular,
        to_popular.low as ndcg_over_popular_low,
        to_popular.high as ndcg_over_popular_high,
        exposure.coverage,
        round(summed.diversity, 6) as diversity,
        round(summed.novelty, 6) as novelty,
        exposure.gini,
        exposure.tail_share
    from summed
    cross join wall
    inner join intervals as own
        on
            summed.strategy = own.strategy
            and summed.list = own.list
            and summed.scope = own.scope
            and summed.k = own.k
            and summed.group_kind = own.group_kind
            and summed.group_value = own.group_value
            and own.reference is null
    left join intervals as to_popular
        on
            summed.strategy = to_popular.strategy
            and summed.list = to_popular.list
            and summed.scope = to_popular.scope
            and summed.k = to_popular.k
            and summed.group_kind = to_popular.group_kind
            and summed.group_value = to_popular.group_value
            and to_popular.reference = 'popular'
    left join exposure
        on
            summed.strategy = exposure.strategy
            and summed.list = exposure.list
            and summed.scope = exposure.scope
            and summed.k = exposure.k
            and summed.group_kind = exposure.group_kind
            and summed.group_value = exposure.group_value
    where summed.users >= {{ var('min_users_per_cell') }} or summed.group_kind = 'all'
)

select * from final
