{{ config(materialized='view') }}

-- What may be shown to a user and with which score, before it is cut to a list: rules, rotation, diversity.
-- Tables of rules are small or empty, so that a join with them costs little; what a setting switches off is not there.
with candidates as (
    select * from {{ ref('ranked_candidates') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

item_rules as (
    select * from {{ ref('item_rules') }}
),

category_caps as (
    select
        list,
        segment_id,
        category,
        value
    from {{ ref('checked_rules') }}
    where rule = 'cap' and is_in_force
),

ruled_segments as (
    select segment_id from item_rules
    union
    select segment_id from category_caps
),

-- Only users of segments that have rules. Their segment comes from their behaviour, so that it needs their consent.
ruled_users as (
    select
        users.user_number,
        assignments.segment_id
    from assignments
    inner join ruled_segments
        on assignments.segment_id = ruled_segments.segment_id
    inner join users
        on assignments.user_key = users.user_key
    where users.has_consent
),

item_effects as (
    select
        list,
        segment_id,
        item_number,
        bool_or(rule = 'ban') as is_banned,
        exp(sum(case when rule = 'boost' then ln(value) else 0 end)) as factor
    from item_rules
    where rule in ('ban', 'boost')
    group by list, segment_id, item_number
),

{% if var('rotation_half_life_days') -%}
    -- How often an item was shown to no avail: once the user has taken it, what was shown before counts no more.
    shown_counts as (
        select
            users.user_number,
            item_stats.item_number,
            round(sum({{ decay('shown_items.age_days', var('rotation_half_life_days')) }}), 6) as shown_count
        from {{ ref('shown_items') }} as shown_items
        inner join users
            on shown_items.user_key = users.user_key
        inner join item_stats
            on shown_items.item_id = item_stats.item_id
        where users.has_consent and shown_items.first_acted_at is null
        group by users.user_number, item_stats.item_number
    ),

    rotated as (
        select
            candidates.user_number,
            candidates.item_number,
            candidates.list,
            candidates.score
            * coalesce(power(cast({{ var('rotation_factor') }} as double), shown_counts.shown_count), 1) as score,
            candidates.source,
            candidates.is_repeat
        from candidates
        left join shown_counts
            on
                candidates.user_number = shown_counts.user_number
                and candidates.item_number = shown_counts.item_number
    ),
{%- else -%}
    rotated as (
        select * from candidates
    ),
{%- endif %}

ruled as (
    select
        rotated.user_number,
        rotated.item_number,
        rotated.list,
        item_stats.category,
        ruled_users.segment_id,
        round(
            rotated.score * coalesce(for_all.factor, 1) * coalesce(for_segment.factor, 1), 9
        ) as score,
        rotated.source,
        rotated.is_repeat
    from rotated
    inner join item_stats
        on rotated.item_number = item_stats.item_number
    left join ruled_users
        on rotated.user_number = ruled_users.user_number
    left join item_effects as for_all
        on
            rotated.list = for_all.list
            and rotated.item_number = for_all.item_number
            and for_all.segment_id is null
    left join item_effects as for_segment
        on
            rotated.list = for_segment.list
            and rotated.item_number = for_segment.item_number
            and ruled_users.segment_id = for_segment.segment_id
    where
        item_stats.is_active
        and not coalesce(for_all.is_banned, false)
        and not coalesce(for_segment.is_banned, false)
),

user_pins as (
    select
        users.user_number,
        users.user_key,
        item_rules.list,
        item_rules.item_number,
        item_rules.value
    from item_rules
    cross join users
    where item_rules.rule = 'pin' and item_rules.segment_id is null and item_rules.is_active
    union all
    select
        users.user_number,
        users.user_key,
        item_rules.list,
        item_rules.item_number,
        item_rules.value
    from item_rules
    inner join ruled_users
        on item_rules.segment_id = ruled_users.segment_id
    inner join users
        on ruled_users.user_number = users.user_number
    where item_rules.rule = 'pin' and item_rules.is_active
),

-- A pin brings its item into lists of users whose sources do not name it, but a ban wins, and discover stays new.
pins as (
    select
        user_pins.user_number,
        user_pins.item_number,
        user_pins.list,
        cast(user_pins.value as integer) as pinned_place,
        item_stats.category,
        ruled_users.segment_id,
        affinity.user_key is not null as is_repeat
    from user_pins
    inner join item_stats
        on user_pins.item_number = item_stats.item_number
    left join ruled_users
        on user_pins.user_number = ruled_users.user_number
    left join affinity
        on
            user_pins.user_key = affinity.user_key
            and item_stats.item_id = affinity.item_id
    left join item_effects as for_all
        on
            user_pins.list = for_all.list
            and user_pins.item_number = for_all.item_number
            and for_all.segment_id is null
    left join item_effects as for_segment
        on
            user_pins.list = for_segment.list
            and user_pins.item_number = for_segment.item_number
            and ruled_users.segment_id = for_segment.segment_id
    where
        not coalesce(for_all.is_banned, false)
        and not coalesce(for_segment.is_banned, false)
        and not (user_pins.list = 'discover' and affinity.user_key is not null)
),

gathered as (
    select
        ruled.user_number,
        ruled.item_number,
        ruled.list,
        ruled.category,
        ruled.segment_id,
        ruled.score,
        ruled.source,
        ruled.is_repeat,
        cast(null as integer) as pinned_place
    from ruled
    left join pins
        on
            ruled.user_number = pins.user_number
            and ruled.item_number = pins.item_number
            and ruled.list = pins.list
    where pins.user_number is null
    union all
    select
        pins.user_number,
        pins.item_number,
        pins.list,
        pins.category,
        pins.segment_id,
        coalesce(ruled.score, 0) as score,
        'rule' as source,
        pins.is_repeat,
        pins.pinned_place
    from pins
    left join ruled
        on
            pins.user_number = ruled.user_number
            and pins.item_number = ruled.item_number
            and pins.list = ruled.list
),

caps as (
    select
        list,
        segment_id,
        category,
        value
    from category_caps
    {% if var('max_per_category') is not none -%}
        union all
        select distinct
            cast(null as string) as list,
            cast(null as string) as segment_id,
            category,
            cast({{ var('max_per_category') }} as double) as value
        from item_stats
        where category is not null
    {%- endif %}
),

-- The places of an item among the user's items of a category that has a cap, which pins take first.
capped as (
    select
        gathered.user_number,
        gathered.item_number,
        gathered.list,
        min(caps.value) as cap
    from gathered
    inner join caps
        on gathered.category = caps.category
    where
        (caps.list is null or caps.list = gathered.list)
        and (caps.segment_id is null or caps.segment_id = gathered.segment_id)
    group by gathered.user_number, gathered.item_number, gathered.list
),

excess as (
    select
        capped.user_number,
        capped.item_number,
        capped.list
    from capped
    inner join gathered
        on
            capped.user_number = gathered.user_number
            and capped.item_number = gathered.item_number
            and capped.list = gathered.list
    qualify
        row_number() over (
            partition by gathered.user_number, gathered.list, gathered.category
            order by
                coalesce(gathered.pinned_place, 1000000) asc, gathered.score desc, gathered.item_number asc
        ) > capped.cap
        and gathered.pinned_place is null
),

kept as (
    select gathered.*
    from gathered
    left join excess
        on
            gathered.user_number = excess.user_number
            and gathered.item_number = excess.item_number
            and gathered.list = excess.list
    where excess.user_number is null
),

{% if var('diversity') -%}
    -- Greedy re-ranking without recursion. Each step takes the item with the highest score x (1 - diversity)^k, where
    -- k items of its category stand above. All items of a category have the same k at a step, so that they enter in
    -- the order of their scores, and the n-th of them with k = n - 1. These values fall within a category, so that
    -- taking the highest each time merges sorted lists: it is sorting by them. (The gain of alpha-nDCG, Clarke 2008.)
    spread as (
        select
            user_number,
            item_number,
            list,
            case
                when category is null or pinned_place is not null then score
                else round(score * power(1 - cast({{ var('diversity') }} as double), row_number() over (
                    partition by user_number, list, category
                    order by coalesce(pinned_place, 1000000) asc, score desc, item_number asc
                ) - 1), 12)
            end as score,
            source,
            is_repeat,
            pinned_place
        from kept
    ),
{%- else -%}
    spread as (
        select * from kept
    ),
{%- endif %}

final as (
    select
        user_number,
        item_number,
        list,
        score,
        source,
        is_repeat,
        pinned_place
    from spread
)

select * from final
