{{ config(materialized='view') }}

-- A model that is not made cannot be referred to, so this is the one place that knows which are.
with runs as (
    {% for source in fitted_sources() if source in var('sources') %}
        select
            '{{ source }}_candidates' as model,
            run_id
        from {{ ref(source ~ '_candidates') }}
        union all
    {% endfor %}
    select
        cast(null as string) as model,
        cast(null as string) as run_id
    where false
),

final as (
    select distinct
        model,
        run_id
    from runs
)

select * from final
