with final as (
    {{ read_backtest('segmentation_uplift', segmentation_uplift_columns()) }}
)

select * from final
