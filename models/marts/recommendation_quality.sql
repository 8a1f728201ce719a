with quality as (
    select * from {{ ref('backtest_quality') }}
),

final as (
    select
        {% for name, type in recommendation_quality_columns() %}
            cast({{ name }} as {{ type }}) as {{ name }},
        {% endfor %}
        as_of = max(as_of) over () as is_newest
    from quality
)

select * from final
