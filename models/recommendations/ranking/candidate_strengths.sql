{{ config(materialized='view') }}

{%- set sources = var('sources') | select('in', source_names()) | list %}

with candidates as (
    select * from {{ ref('source_candidates') }}
),

-- Met, but not liked: not new either.
disliked as (
    select
        users.user_number,
        item_stats.item_number
    from {{ ref('user_item_affinity') }} as affinity
    inner join {{ ref('user_attributes') }} as users
        on affinity.user_key = users.user_key
    inner join {{ ref('item_stats') }} as item_stats
        on affinity.item_id = item_stats.item_id
    where affinity.affinity <= 0
),

gathered as (
    select
        user_number,
        item_number,
        {% for source in sources %}
            max(case when source = '{{ source }}' then cast(score as float) else 0 end) as {{ source }},
        {% endfor %}
        bool_or(is_repeat) as is_repeat
    from candidates
    group by user_number, item_number
),

-- The best new item of each source, or the best where it names no new one, is what the others of that source are
-- measured by, user by user.
best as (
    select
        user_number,
        {% for source in sources %}
            coalesce(
                nullif(max(case when not is_repeat then {{ source }} end), 0),
                nullif(max({{ source }}), 0)
            ) as {{ source }},
        {% endfor %}
        count(*) as items
    from gathered
    group by user_number
),

final as (
    select
        gathered.user_number,
        gathered.item_number,
        gathered.is_repeat or disliked.user_number is not null as is_repeat,
        {% for source in sources %}
            {% if source == 'buy_again' %}
                gathered.buy_again as strength_buy_again,
            {% else %}
                -- The least of 1 and nothing would be 1.
                cast(least(1, coalesce(gathered.{{ source }} / best.{{ source }}, 0)) as float)
                    as strength_{{ source }},
            {% endif %}
        {% endfor %}
        {{ 'gathered.collaborative' if 'collaborative' in sources else 'cast(0 as float)' }} as collaborative_score
    from gathered
    inner join best
        on gathered.user_number = best.user_number
    left join disliked
        on
            gathered.user_number = disliked.user_number
            and gathered.item_number = disliked.item_number
)

select * from final
