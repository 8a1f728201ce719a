with finalists as (
    select * from {{ ref('ranking_finalists') }}
),

boosted as (
    select * from {{ ref('boosted_scores') }}
),

-- The mean of the two logits as a probability; where nothing could be learned, the fixed blend squeezed below 1.
final as (
    select
        finalists.user_number,
        finalists.item_number,
        finalists.list,
        round(coalesce(
            1 / (1 + exp(-(finalists.logit + coalesce(boosted.logit, finalists.logit)) / 2)),
            finalists.fixed_score / (1 + finalists.fixed_score)
        ), 6) as score,
        finalists.source,
        finalists.is_repeat
    from finalists
    left join boosted
        on
            finalists.user_number = boosted.user_number
            and finalists.item_number = boosted.item_number
            and finalists.list = boosted.list
)

select * from final
where score > 0
