with strategy_dates as (
    select * from {{ ref('strategy_dates') }}
),

-- Judged at 20 on supported items, in the newest backtest.
quality as (
    select
        *,
        case group_kind when 'all' then 'everyone' else group_value end as segment_id
    from {{ ref('backtest_quality') }}
    where scope = 'supported' and k = 20 and group_kind in ('all', 'segment')
    qualify as_of = max(as_of) over ()
),

changes as (
    select
        *,
        coalesce(
            lag(strategy) over (partition by list, segment_id order by as_of asc) <> strategy, true
        ) as is_change
    from strategy_dates
),

chosen as (
    select
        list,
        segment_id,
        strategy,
        as_of,
        max(case when is_change then as_of end) over (partition by list, segment_id) as since
    from changes
    qualify as_of = max(as_of) over ()
),

others as (
    select
        chosen.list,
        chosen.segment_id,
        quality.strategy,
        quality.ndcg
    from chosen
    inner join quality
        on
            chosen.list = quality.list
            and chosen.segment_id = quality.segment_id
            and chosen.strategy <> quality.strategy
    qualify row_number() over (
        partition by chosen.list, chosen.segment_id
        order by quality.ndcg desc, quality.strategy asc
    ) = 1
),

final as (
    select
        cast(chosen.list as string) as list,
        cast(chosen.segment_id as string) as segment_id,
        cast(chosen.strategy as string) as strategy,
        cast(chosen.since as timestamp) as since,
        cast(quality.as_of as timestamp) as judged_as_of,
        cast(quality.users as bigint) as users,
        cast(quality.ndcg as double) as ndcg,
        cast(quality.ndcg_low as double) as ndcg_low,
        cast(quality.ndcg_high as double) as ndcg_high,
        cast(others.strategy as string) as runner_up,
        cast(others.ndcg as double) as runner_up_ndcg,
        cast(
            case
                when quality.ndcg is null then 'Not judged yet: run manyfaces backtest.'
                when others.ndcg is null then 'There is nothing to compare it with.'
                when others.ndcg <= quality.ndcg then 'The best that was tried.'
                else 'Not the best that was tried: ' || others.strategy || ' is ahead.'
            end as string
        ) as verdict
    from chosen
    left join quality
        on
            chosen.list = quality.list
            and chosen.segment_id = quality.segment_id
            and chosen.strategy = quality.strategy
    left join others
        on
            chosen.list = others.list
            and chosen.segment_id = others.segment_id
)

select * from final
