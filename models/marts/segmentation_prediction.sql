with scores as (
    select * from {{ ref('segmentation_prediction_scores') }}
),

own as (
    select * from scores
    where divided_by = segmentation
),

baselines as (
    select * from scores
    where divided_by in ('rfm', 'demographic') and divided_by <> segmentation and epsilon_squared is not null
),

best as (
    select * from baselines
    qualify row_number() over (
        partition by segmentation, outcome
        order by epsilon_squared desc, divided_by asc
    ) = 1
),

joined as (
    select
        own.*,
        best.divided_by as best_baseline,
        best.epsilon_squared as baseline_epsilon_squared,
        -- Smaller differences are called none. Eta squared of random segments has a beta distribution, and this is
        -- twice its standard deviation.
        greatest(0.1 * best.epsilon_squared, 2 * sqrt(2.0e0 * (own.segments - 1)) / own.users) as least_difference,
        'it explains ' || (round(100 * own.epsilon_squared, 1) + 0) || ' %, ' || best.divided_by || ' '
        || (round(100 * best.epsilon_squared, 1) + 0) || ' %' as figures
    from own
    left join best
        on
            own.segmentation = best.segmentation
            and own.outcome = best.outcome
),

final as (
    select
        cast(segmentation as string) as segmentation,
        cast(outcome as string) as outcome,
        cast(predicted_from as timestamp) as predicted_from,
        cast(predicted_until as timestamp) as predicted_until,
        cast(users as bigint) as users,
        cast(segments as bigint) as segments,
        cast(eta_squared as double) as eta_squared,
        cast(epsilon_squared as double) as epsilon_squared,
        cast(best_baseline as string) as best_baseline,
        cast(baseline_epsilon_squared as double) as baseline_epsilon_squared,
        cast(
            case
                when epsilon_squared is null then 'Cannot be told: nobody differs, or too few users.'
                when best_baseline is null then 'There is no baseline to compare it with.'
                when epsilon_squared > baseline_epsilon_squared + least_difference
                    then 'Better than the best baseline: ' || figures || '.'
                when epsilon_squared < baseline_epsilon_squared - least_difference
                    then 'Worse than the best baseline: ' || figures || '.'
                else 'No better than the best baseline: ' || figures || '.'
            end as string
        ) as verdict
    from joined
)

select * from final
