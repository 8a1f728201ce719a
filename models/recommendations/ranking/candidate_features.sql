{%- set sources = var('sources') | select('in', source_models()) | list %}

with candidates as (
    select * from {{ ref('candidate_sources') }}
),

users as (
    select * from {{ ref('ranking_users') }}
),

items as (
    select * from {{ ref('ranking_items') }}
),

pairs as (
    select * from {{ ref('ranking_pairs') }}
),

group_items as (
    select * from {{ ref('ranking_group_items') }}
),

subcategories as (
    select * from {{ ref('ranking_user_categories') }}
),

categories as (
    select
        wall_number,
        user_number,
        category,
        sum(decayed) as decayed
    from subcategories
    where category is not null
    group by wall_number, user_number, category
),

days as (
    select * from {{ ref('ranking_days') }}
),

walls as (
    select * from {{ ref('ranking_walls') }}
    where wall_number = 1
),

gathered as (
    select
        wall_number,
        user_number,
        item_number,
        {% for source in sources %}
            max(case when source = '{{ source }}' then score else 0 end) as {{ source }},
        {% endfor %}
        bool_or(is_repeat) as is_repeat
    from candidates
    group by wall_number, user_number, item_number
),

-- The best new item of each source, or the best where it names no new one, is what the others of that source are
-- measured by, user by user.
best as (
    select
        wall_number,
        user_number,
        {% for source in sources %}
            coalesce(
                nullif(max(case when not is_repeat then {{ source }} end), 0),
                nullif(max({{ source }}), 0)
            ) as {{ source }},
        {% endfor %}
        count(*) as items
    from gathered
    where wall_number = 0
    group by wall_number, user_number
),

-- Met, but not liked: not new either.
disliked as (
    select
        0 as wall_number,
        users.user_number,
        item_stats.item_number
    from {{ ref('user_item_affinity') }} as affinity
    inner join {{ ref('user_attributes') }} as users
        on affinity.user_key = users.user_key
    inner join {{ ref('item_stats') }} as item_stats
        on affinity.item_id = item_stats.item_id
    where affinity.affinity <= 0
),

-- What was taken between the two walls is what the ranker learns to foresee.
taken as (
    select distinct
        walls.wall_number,
        days.user_number,
        days.item_number
    from days
    cross join walls
    where days.age_days <= walls.days_before and days.user_number <= {{ var('ranker_training_users') }}
),

described as (
    select
        gathered.wall_number,
        gathered.user_number,
        gathered.item_number,
        users.segment_id,
        gathered.is_repeat or coalesce(pairs.days, 0) > 0 or disliked.item_number is not null as is_repeat,
        taken.item_number is not null as is_taken,
        {% for source in sources %}
            {% if source == 'buy_again' %}
                gathered.buy_again as strength_buy_again,
            {% else %}
                -- The least of 1 and nothing would be 1.
                least(1, coalesce(gathered.{{ source }} / best.{{ source }}, 0)) as strength_{{ source }},
            {% endif %}
        {% endfor %}
        {{ 'ln(1 + gathered.collaborative)' if 'collaborative' in sources else '0' }} as collaborative,
        coalesce(context_items.strength, 0) as in_context,
        coalesce(segment_items.strength, 0) as in_segment,
        {% for half_life in ranking_half_lives() %}
            ln(1 + coalesce(pairs.decayed_{{ half_life }}, 0)) as own_{{ half_life }},
        {% endfor %}
        ln(1 + coalesce(pairs.days, 0)) as own_days,
        ln(1 + coalesce(pairs.last_age_days, 0)) as own_last_age,
        case
            when pairs.days > 1
                then
                    ln(
                        1
                        + pairs.last_age_days * (pairs.days - 1)
                        / greatest(1, pairs.first_age_days - pairs.last_age_days)
                    )
            else 0
        end as own_gaps_since,
        coalesce(ln(1 + pairs.last_age_days / greatest(1, items.typical_gap_days)), 0) as item_gaps_since,
        coalesce(items.repeat_rate, 0) as repeat_rate,
        items.return_rate,
        ln(1 + coalesce(items.typical_gap_days, 0)) as typical_gap,
        ln(1 + items.popularity_7) as popularity_7,
        ln(1 + items.popularity_28) as popularity_28,
        ln(1 + items.popularity_90) as popularity_90,
        ln(1 + items.trend) as trend,
        ln(1 + coalesce(subcategories.decayed, 0)) as subcategory_affinity,
        ln(1 + coalesce(categories.decayed, 0)) as category_affinity,
        ln(1 + coalesce(subcategories.last_age_days, 400)) as subcategory_last_age,
        coalesce(pairs.decayed_120 / nullif(subcategories.decayed, 0), 0) as own_share_of_subcategory,
        coalesce(items.subcategory_share, 0) as subcategory_share,
        ln(1 + users.activity) as user_activity,
        ln(1 + coalesce(users.since_days, 400)) as user_since,
        ln(1 + users.items) as user_items,
        ln(1 + users.new_items) as user_new_items
    from gathered
    inner join users
        on
            gathered.wall_number = users.wall_number
            and gathered.user_number = users.user_number
    inner join items
        on
            gathered.wall_number = items.wall_number
            and gathered.item_number = items.item_number
    left join best
        on
            gathered.wall_number = best.wall_number
            and gathered.user_number = best.user_number
    left join pairs
        on
            gathered.wall_number = pairs.wall_number
            and gathered.user_number = pairs.user_number
            and gathered.item_number = pairs.item_number
    left join group_items as context_items
        on
            gathered.wall_number = context_items.wall_number
            and context_items.group_kind = 'context'
            and users.context = context_items.group_id
            and gathered.item_number = context_items.item_number
    left join group_items as segment_items
        on
            gathered.wall_number = segment_items.wall_number
            and segment_items.group_kind = 'segment'
            and users.segment_id = segment_items.group_id
            and gathered.item_number = segment_items.item_number
    left join subcategories
        on
            gathered.wall_number = subcategories.wall_number
            and gathered.user_number = subcategories.user_number
            and items.subcategory = subcategories.subcategory
    left join categories
        on
            gathered.wall_number = categories.wall_number
            and gathered.user_number = categories.user_number
            and items.category = categories.category
    left join disliked
        on
            gathered.wall_number = disliked.wall_number
            and gathered.user_number = disliked.user_number
            and gathered.item_number = disliked.item_number
    left join taken
        on
            gathered.wall_number = taken.wall_number
            and gathered.user_number = taken.user_number
            and gathered.item_number = taken.item_number
),

final as (
    select
        wall_number,
        user_number,
        item_number,
        segment_id,
        is_repeat,
        is_taken,
        {% for source in sources %}
            cast(strength_{{ source }} as float) as strength_{{ source }},
        {% endfor %}
        {% for feature in ranking_features() %}
            cast(round({{ feature }}, 5) as float) as {{ feature }},
        {% endfor %}
        cast(case when is_repeat then 1 else 0 end as float) as repeated
    from described
)

select * from final
