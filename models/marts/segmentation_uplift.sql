with uplift as (
    select * from {{ ref('backtest_uplift') }}
),

final as (
    select
        {% for name, type in segmentation_uplift_columns() %}
            cast({{ name }} as {{ type }}) as {{ name }},
        {% endfor %}
        as_of = max(as_of) over () as is_newest
    from uplift
)

select * from final
