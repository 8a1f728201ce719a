{%- set references = ['none', 'demographic', 'rfm'] %}

with user_list_metrics as (
    select * from {{ ref('user_list_metrics') }}
    where family = 'segmentation'
),

intervals as (
    select * from {{ ref('metric_intervals') }}
    where family = 'segmentation' and group_kind = 'all'
),

wall as (
    select * from {{ ref('wall') }}
),

summed as (
    select
        list,
        strategy as segmentation,
        count(*) as users,
        {{ stable_mean('ndcg') }} as ndcg,
        {{ stable_mean('recall') }} as recall
    from user_list_metrics
    where scope = 'supported' and k = 20
    group by list, strategy
),

differences as (
    select
        list,
        strategy as segmentation,
        {% for reference in references %}
            max(case when reference = '{{ reference }}' then ndcg end) as ndcg_over_{{ reference }},
            max(case when reference = '{{ reference }}' then low end) as ndcg_over_{{ reference }}_low,
            max(case when reference = '{{ reference }}' then high end) as ndcg_over_{{ reference }}_high,
        {% endfor %}
        count(*) as comparisons
    from intervals
    where scope = 'supported' and k = 20
    group by list, strategy
),

final as (
    select
        wall.as_of,
        wall.as_of + interval '{{ var("backtest_days") }}' day as until,
        summed.list,
        summed.segmentation,
        summed.users,
        round(summed.ndcg, 6) as ndcg,
        {% for reference in references %}
            differences.ndcg_over_{{ reference }},
            differences.ndcg_over_{{ reference }}_low,
            differences.ndcg_over_{{ reference }}_high,
        {% endfor %}
        round(summed.recall, 6) as recall
    from summed
    cross join wall
    inner join differences
        on
            summed.list = differences.list
            and summed.segmentation = differences.segmentation
)

select * from final
