{#
    What the ranker knows of each candidate at one wall: 0, that of the build, or 1, the earlier one. A select statement.

    Only the wall of the build has strengths by source, which fixed weights and reasons read; only the earlier one knows
    what was taken afterwards. Logarithms of what a user or an item brings along are taken there, not once more for each
    candidate.
#}
{% macro candidate_features_at(wall_number) -%}
{%- set is_build = wall_number == 0 %}
{%- set sources = var('sources') | select('in', source_names()) | list %}
with candidates as (
    {% if is_build %}
        select * from {{ ref('candidate_strengths') }}
    {% else %}
        select
            user_number,
            item_number,
            max(case when source = 'collaborative' then cast(score as float) else 0 end) as collaborative_score
        from {{ ref('earlier_candidates') }}
        group by user_number, item_number
    {% endif %}
),

users as (
    select
        user_number,
        segment_id,
        context,
        ln(1 + activity) as user_activity,
        ln(1 + coalesce(since_days, 400)) as user_since,
        ln(1 + items) as user_items,
        ln(1 + new_items) as user_new_items
    from {{ ref('ranking_users') }}
    where wall_number = {{ wall_number }}
),

items as (
    select
        item_number,
        category,
        subcategory,
        return_rate,
        coalesce(repeat_rate, 0) as repeat_rate,
        coalesce(subcategory_share, 0) as subcategory_share,
        greatest(1, typical_gap_days) as typical_gap_days,
        ln(1 + coalesce(typical_gap_days, 0)) as typical_gap,
        ln(1 + popularity_7) as popularity_7,
        ln(1 + popularity_28) as popularity_28,
        ln(1 + popularity_90) as popularity_90,
        ln(1 + trend) as trend
    from {{ ref('ranking_items') }}
    where wall_number = {{ wall_number }}
),

pairs as (
    select
        user_number,
        item_number,
        {% for half_life in ranking_half_lives() %}
            ln(1 + decayed_{{ half_life }}) as own_{{ half_life }},
        {% endfor %}
        decayed_120,
        last_age_days,
        ln(1 + days) as own_days,
        ln(1 + last_age_days) as own_last_age,
        case
            when days > 1 then ln(1 + last_age_days * (days - 1) / greatest(1, first_age_days - last_age_days))
            else 0
        end as own_gaps_since
    from {{ ref('ranking_pairs') }}
    where wall_number = {{ wall_number }}
),

group_items as (
    select * from {{ ref('ranking_group_items') }}
    where wall_number = {{ wall_number }}
),

user_subcategories as (
    select * from {{ ref('ranking_user_categories') }}
    where wall_number = {{ wall_number }}
),

subcategories as (
    select
        user_number,
        subcategory,
        decayed,
        ln(1 + decayed) as subcategory_affinity,
        ln(1 + last_age_days) as subcategory_last_age
    from user_subcategories
),

categories as (
    select
        user_number,
        category,
        ln(1 + round(sum(decayed), 5)) as category_affinity
    from user_subcategories
    where category is not null
    group by user_number, category
),

{% if not is_build %}
    -- What was taken between the two walls is what the ranker learns to foresee.
    taken as (
        select distinct
            days.user_number,
            days.item_number
        from {{ ref('ranking_days') }} as days
        cross join {{ ref('ranking_walls') }} as walls
        where
            walls.wall_number = {{ wall_number }}
            and days.age_days <= walls.days_before
            and days.user_number <= {{ var('ranker_training_users') }}
    ),
{% endif %}

described as (
    select
        candidates.user_number,
        candidates.item_number,
        users.segment_id,
        {{ 'candidates.is_repeat or ' if is_build }}pairs.user_number is not null as is_repeat,
        {{ 'false' if is_build else 'taken.user_number is not null' }} as is_taken,
        {% for source in sources %}
            {{ 'candidates.strength_' ~ source if is_build else 'cast(0 as float)' }} as strength_{{ source }},
        {% endfor %}
        ln(1 + candidates.collaborative_score) as collaborative,
        coalesce(context_items.strength, 0) as in_context,
        coalesce(segment_items.strength, 0) as in_segment,
        {% for half_life in ranking_half_lives() %}
            coalesce(pairs.own_{{ half_life }}, 0) as own_{{ half_life }},
        {% endfor %}
        coalesce(pairs.own_days, 0) as own_days,
        coalesce(pairs.own_last_age, 0) as own_last_age,
        coalesce(pairs.own_gaps_since, 0) as own_gaps_since,
        case
            when pairs.user_number is null then 0
            else coalesce(ln(1 + pairs.last_age_days / items.typical_gap_days), 0)
        end as item_gaps_since,
        items.repeat_rate,
        items.return_rate,
        items.typical_gap,
        items.popularity_7,
        items.popularity_28,
        items.popularity_90,
        items.trend,
        coalesce(subcategories.subcategory_affinity, 0) as subcategory_affinity,
        coalesce(categories.category_affinity, 0) as category_affinity,
        coalesce(subcategories.subcategory_last_age, ln(401)) as subcategory_last_age,
        coalesce(pairs.decayed_120 / nullif(subcategories.decayed, 0), 0) as own_share_of_subcategory,
        items.subcategory_share,
        users.user_activity,
        users.user_since,
        users.user_items,
        users.user_new_items
    from candidates
    inner join users
        on candidates.user_number = users.user_number
    inner join items
        on candidates.item_number = items.item_number
    left join pairs
        on
            candidates.user_number = pairs.user_number
            and candidates.item_number = pairs.item_number
    left join group_items as context_items
        on
            context_items.group_kind = 'context'
            and users.context = context_items.group_id
            and candidates.item_number = context_items.item_number
    left join group_items as segment_items
        on
            segment_items.group_kind = 'segment'
            and users.segment_id = segment_items.group_id
            and candidates.item_number = segment_items.item_number
    left join subcategories
        on
            candidates.user_number = subcategories.user_number
            and items.subcategory = subcategories.subcategory
    left join categories
        on
            candidates.user_number = categories.user_number
            and items.category = categories.category
    {% if not is_build %}
        left join taken
            on
                candidates.user_number = taken.user_number
                and candidates.item_number = taken.item_number
    {% endif %}
),

final as (
    select
        {{ wall_number }} as wall_number,
        user_number,
        item_number,
        segment_id,
        is_repeat,
        is_taken,
        {% for source in sources %}
            strength_{{ source }},
        {% endfor %}
        {% for feature in ranking_features() %}
            cast({{ feature }} as float) as {{ feature }},
        {% endfor %}
        cast(case when is_repeat then 1 else 0 end as float) as repeated
    from described
)

select * from final
{%- endmacro %}
