{{ config(materialized=stored_if_learning()) }}

{%- set half_lives = ranking_half_lives() %}
with days as (
    select * from {{ ref('ranking_days') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

-- Everybody at the wall of the build, a sample at the earlier one. User numbers follow pseudonyms, so the first are
-- a sample at random.
at_walls as (
    select
        walls.wall_number,
        days.user_number,
        days.item_number,
        days.preference,
        days.age_days - walls.days_before as age_days
    from days
    cross join walls
    where
        days.age_days > walls.days_before
        and (walls.wall_number = 0 or days.user_number <= {{ var('ranker_training_users') }})
),

final as (
    select
        wall_number,
        user_number,
        item_number,
        count(*) as days,
        {% for half_life in half_lives %}
            cast(round(sum(preference * {{ decay('age_days', half_life) }}), 5) as float) as decayed_{{ half_life }},
        {% endfor %}
        cast(min(age_days) as float) as last_age_days,
        cast(max(age_days) as float) as first_age_days
    from at_walls
    group by wall_number, user_number, item_number
)

select * from final
