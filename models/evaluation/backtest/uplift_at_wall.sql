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

joined as (
    select
        summed.list,
        summed.segmentation,
        summed.users,
        summed.ndcg,
        summed.recall,
        {% for reference in references %}
            differences.ndcg_over_{{ reference }},
            differences.ndcg_over_{{ reference }}_low,
            differences.ndcg_over_{{ reference }}_high,
            -- Only an interval that leaves out zero is a gain or a loss.
            case
                when differences.ndcg_over_{{ reference }}_low > 0 then 'gain'
                when differences.ndcg_over_{{ reference }}_high < 0 then 'worse'
                when differences.ndcg_over_{{ reference }} is not null then 'no gain'
            end as verdict_{{ reference }},
        {% endfor %}
        wall.as_of
    from summed
    cross join wall
    inner join differences
        on
            summed.list = differences.list
            and summed.segmentation = differences.segmentation
),

worded as (
    select
        *,
        {% for reference in references %}
            case verdict_{{ reference }}
                when 'gain' then 'Gain over '
                when 'worse' then 'Worse than '
                when 'no gain' then 'No gain over '
            end
            || '{{ "no segments" if reference == "none" else reference }}: '
            || {{ number_with_sign('ndcg_over_' ~ reference) }} || ' ('
            || {{ number_with_sign('ndcg_over_' ~ reference ~ '_low') }} || ' to '
            || {{ number_with_sign('ndcg_over_' ~ reference ~ '_high') }} || ').' as words_{{ reference }},
        {% endfor %}
        coalesce(verdict_none, 'baseline') as verdict
    from joined
),

final as (
    select
        as_of,
        as_of + interval '{{ var("backtest_days") }}' day as until,
        list,
        segmentation,
        users,
        round(ndcg, 6) as ndcg,
        round(recall, 6) as recall,
        {% for reference in references %}
            ndcg_over_{{ reference }},
            ndcg_over_{{ reference }}_low,
            ndcg_over_{{ reference }}_high,
        {% endfor %}
        verdict,
        concat_ws(' ', words_none, words_demographic, words_rfm) as explanation
    from worded
)

select * from final
