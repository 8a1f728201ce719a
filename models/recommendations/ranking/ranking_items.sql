{{ config(materialized=stored_if_learning()) }}

{%- set window_days = var('prediction_days') %}
with days as (
    select * from {{ ref('ranking_days') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
),

pairs as (
    select * from {{ ref('ranking_pairs') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

popularity as (
    select
        walls.wall_number,
        days.item_number,
        count(distinct days.user_number) as users,
        {% for half_life in [7, 28, 90] %}
            round(sum({{ decay('(days.age_days - walls.days_before)', half_life) }}), 5) as popularity_{{ half_life }},
        {% endfor %}
        count(*) filter (where days.age_days - walls.days_before < 7) as last_week,
        count(*) filter (
            where days.age_days - walls.days_before >= 7 and days.age_days - walls.days_before < 14
        ) as week_before
    from days
    cross join walls
    where days.age_days > walls.days_before
    group by walls.wall_number, days.item_number
),

-- How soon and how surely its users come back to an item.
repeats as (
    select
        wall_number,
        item_number,
        count(*) filter (where days > 1) / cast(count(*) as double) as repeat_rate,
        sum(case when days > 1 then first_age_days - last_age_days end)
        / nullif(sum(case when days > 1 then days - 1 end), 0) as typical_gap_days,
        count(*) filter (where first_age_days >= {{ window_days }}) as earlier_users,
        count(*) filter (where first_age_days >= {{ window_days }} and last_age_days < {{ window_days }})
            as returning_users
    from pairs
    group by wall_number, item_number
),

final as (
    select
        popularity.wall_number,
        popularity.item_number,
        item_stats.category,
        item_stats.category || coalesce(' / ' || item_stats.subcategory, '') as subcategory,
        item_stats.is_active,
        popularity.users,
        popularity.popularity_7,
        popularity.popularity_28,
        popularity.popularity_90,
        round(popularity.last_week / (popularity.week_before + 1.0e0), 5) as trend,
        round(repeats.repeat_rate, 5) as repeat_rate,
        round(repeats.typical_gap_days, 5) as typical_gap_days,
        -- Smoothed by twenty users of whom one came back.
        round((coalesce(repeats.returning_users, 0) + 1) / (coalesce(repeats.earlier_users, 0) + 20.0e0), 5)
            as return_rate,
        round(
            popularity.popularity_28 / sum(popularity.popularity_28) over (
                partition by popularity.wall_number, item_stats.category, item_stats.subcategory
            ), 6
        ) as subcategory_share
    from popularity
    inner join item_stats
        on popularity.item_number = item_stats.item_number
    left join repeats
        on
            popularity.wall_number = repeats.wall_number
            and popularity.item_number = repeats.item_number
)

select * from final
