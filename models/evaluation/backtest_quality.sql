with final as (
    {{ read_backtest('recommendation_quality', recommendation_quality_columns()) }}
)

select * from final
