{{ config(materialized='view') }}

with finalists as (
    select * from {{ ref('ranking_finalists') }}
),

features as (
    select * from {{ ref('candidate_features') }}
    where wall_number = 0
),

-- Floats, as rankers read them: millions of rows travel to Python.
final as (
    select
        finalists.user_number,
        finalists.item_number,
        finalists.list,
        features.segment_id,
        {% for feature in ranking_features() %}
            cast(features.{{ feature }} as float) as {{ feature }},
        {% endfor %}
        cast(features.repeated as float) as repeated
    from finalists
    inner join features
        on
            finalists.user_number = features.user_number
            and finalists.item_number = features.item_number
    where finalists.logit is not null
)

select * from final
