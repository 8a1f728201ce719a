{%- set references = ['none', 'demographic', 'rfm'] %}

with uplift as (
    select * from {{ ref('backtest_uplift') }}
),

judged as (
    select
        *,
        {% for reference in references %}
            case
                when ndcg_over_{{ reference }}_low > 0 then 'gain'
                when ndcg_over_{{ reference }}_high < 0 then 'worse'
                when ndcg_over_{{ reference }} is not null then 'no gain'
            end as verdict_{{ reference }},
        {% endfor %}
        as_of = max(as_of) over () as is_newest
    from uplift
),

worded as (
    select
        *,
        {% for reference in references %}
            case verdict_{{ reference }}
                when 'gain' then 'Gain over '
                when 'worse' then 'Worse than '
                else 'No gain over '
            end
            || '{{ "no segments" if reference == "none" else reference }}: '
            || {{ number_with_sign('ndcg_over_' ~ reference) }} || ' ('
            || {{ number_with_sign('ndcg_over_' ~ reference ~ '_low') }} || ' to '
            || {{ number_with_sign('ndcg_over_' ~ reference ~ '_high') }} || ').' as words_{{ reference }},
        {% endfor %}
        coalesce(verdict_none, 'baseline') as verdict
    from judged
),

final as (
    select
        {% for name, type in segmentation_uplift_columns() %}
            cast({{ name }} as {{ type }}) as {{ name }},
        {% endfor %}
        cast(verdict as string) as verdict,
        cast(
            coalesce(
                nullif(concat_ws(' ', words_none, words_demographic, words_rfm), ''), 'What the others are compared with.'
            ) as string
        ) as explanation,
        cast(is_newest as boolean) as is_newest
    from worded
)

select * from final
