with cuts as (
    {% for cut in list_cuts() %}
        select {{ cut }} as k
        {{ "union all" if not loop.last }}
    {% endfor %}
),

positions as (
    select * from {{ ref('list_positions') }}
),

relevant_items as (
    select * from {{ ref('relevant_items') }}
),

relevant_counts as (
    select * from {{ ref('relevant_counts') }}
),

-- The discounted gain of a list whose first so many items are all hits.
ranks as (
    select {{ explode(whole_numbers(1, list_cuts() | max)) }} as rank
),

ideal as (
    select
        rank,
        round(sum(round(1 / log2(rank + 1), 9)) over (order by rank asc rows unbounded preceding), 9) as gain
    from ranks
),

strategies as (
    select
        family,
        strategy,
        list,
        scope
    from positions
    group by family, strategy, list, scope
),

hits as (
    select
        positions.family,
        positions.strategy,
        positions.list,
        positions.scope,
        positions.user_number,
        positions.rank,
        row_number() over (
            partition by
                positions.family, positions.strategy, positions.list, positions.scope, positions.user_number
            order by positions.rank asc
        ) as hits_so_far
    from positions
    inner join relevant_items
        on
            positions.user_number = relevant_items.user_number
            and positions.item_number = relevant_items.item_number
    where positions.list = 'for_you' or relevant_items.is_new
),

hits_at_cut as (
    select
        hits.family,
        hits.strategy,
        hits.list,
        hits.scope,
        hits.user_number,
        cuts.k,
        count(*) as hits,
        min(hits.rank) as first_rank,
        {{ stable_sum('round(1 / log2(hits.rank + 1), 9)', 9) }} as gain,
        {{ stable_sum('round(hits.hits_so_far / cast(hits.rank as double), 9)', 9) }} as precisions
    from hits
    cross join cuts
    where hits.rank <= cuts.k
    group by hits.family, hits.strategy, hits.list, hits.scope, hits.user_number, cuts.k
),

lists_at_cut as (
    select
        positions.family,
        positions.strategy,
        positions.list,
        positions.scope,
        positions.user_number,
        cuts.k,
        count(*) as listed,
        sum(positions.same_category_above) as same_category_pairs,
        {{ stable_mean('positions.information') }} as novelty
    from positions
    cross join cuts
    where positions.rank <= cuts.k
    group by
        positions.family, positions.strategy, positions.list, positions.scope, positions.user_number, cuts.k
),

-- Every user with something to find has a row, also without a list or a hit.
judged as (
    select
        strategies.family,
        strategies.strategy,
        strategies.list,
        strategies.scope,
        relevant_counts.user_number,
        cuts.k,
        relevant_counts.relevant,
        least(relevant_counts.relevant, cuts.k) as ideal_hits
    from strategies
    inner join relevant_counts
        on
            strategies.list = relevant_counts.list
            and strategies.scope = relevant_counts.scope
    cross join cuts
    where strategies.family = 'strategy' or cuts.k = 20
),

final as (
    select
        judged.family,
        judged.strategy,
        judged.list,
        judged.scope,
        judged.k,
        judged.user_number,
        cast(judged.relevant as integer) as relevant,
        cast(coalesce(hits_at_cut.hits, 0) as integer) as hits,
        cast(coalesce(lists_at_cut.listed, 0) as integer) as listed,
        round(coalesce(hits_at_cut.hits, 0) / cast(judged.k as double), 6) as precision,
        round(coalesce(hits_at_cut.hits, 0) / cast(judged.relevant as double), 6) as recall,
        round(2.0e0 * coalesce(hits_at_cut.hits, 0) / (judged.k + judged.relevant), 6) as f1,
        round(coalesce(hits_at_cut.gain, 0) / ideal.gain, 6) as ndcg,
        round(coalesce(hits_at_cut.precisions, 0) / judged.relevant, 6) as average_precision,
        round(coalesce(1.0e0 / hits_at_cut.first_rank, 0), 6) as reciprocal_rank,
        round(
            1 - lists_at_cut.same_category_pairs
            / nullif(lists_at_cut.listed * (lists_at_cut.listed - 1) / 2.0e0, 0), 6
        ) as diversity,
        round(lists_at_cut.novelty, 6) as novelty
    from judged
    inner join ideal
        on judged.ideal_hits = ideal.rank
    left join hits_at_cut
        on
            judged.family = hits_at_cut.family
            and judged.strategy = hits_at_cut.strategy
            and judged.list = hits_at_cut.list
            and judged.scope = hits_at_cut.scope
            and judged.user_number = hits_at_cut.user_number
            and judged.k = hits_at_cut.k
    left join lists_at_cut
        on
            judged.family = lists_at_cut.family
            and judged.strategy = lists_at_cut.strategy
            and judged.list = lists_at_cut.list
            and judged.scope = lists_at_cut.scope
            and judged.user_number = lists_at_cut.user_number
            and judged.k = lists_at_cut.k
)

select * from final
