{%- set items_per_user = 50 %}
-- What is older weighs less than a sixteenth.
{%- set short_days = 4 * var('short_half_life_days') %}

with affinity as (
    select * from {{ ref('user_item_affinity') }}
),

events as (
    select * from {{ ref('events') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

item_text_keys as (
    select * from {{ ref('item_text_keys') }}
),

item_texts as (
    select * from {{ ref('item_texts') }}
),

recent as (
    select
        user_key,
        item_id,
        {{ stable_sum('round(preference * ' ~ decay('age_days', var('short_half_life_days')) ~ ', 6)') }}
            as decayed_preference
    from events
    where age_days < {{ short_days }}
    group by user_key, item_id
),

weighted as (
    select
        user_key,
        item_id,
        'long' as horizon,
        affinity as weight
    from affinity
    where affinity > 0
    union all
    select
        user_key,
        item_id,
        'short' as horizon,
        round({{ damp('decayed_preference') }}, 6) as weight
    from recent
    where round({{ damp('decayed_preference') }}, 6) > 0
),

-- Short keys for what follows, and nobody who does not want to be known so well.
numbered as (
    select
        users.user_number,
        weighted.horizon,
        item_texts.text_index,
        -item_stats.item_number as use_order,
        item_stats.item_number,
        weighted.weight
    from weighted
    inner join users
        on weighted.user_key = users.user_key
    inner join item_stats
        on weighted.item_id = item_stats.item_id
    inner join item_text_keys
        on weighted.item_id = item_text_keys.item_id
    inner join item_texts
        on item_text_keys.text_key = item_texts.text_key
    where users.has_consent
),

strongest as (
    select
        user_number,
        horizon,
        {{ top_rows(['weight', 'use_order', 'item_number', 'text_index'], items_per_user) }} as top_items
    from numbered
    group by user_number, horizon
),

exploded as (
    select
        user_number,
        horizon,
        {{ explode('top_items') }} as top_item
    from strongest
),

final as (
    select
        user_number,
        horizon,
        top_item['text_index'] as text_index,
        min_by(top_item['item_number'], (-top_item['weight'], top_item['item_number'])) as item_number,
        cast(count(*) as integer) as items,
        {{ stable_sum("top_item['weight']") }} as weight
    from exploded
    group by user_number, horizon, top_item['text_index']
)

select * from final
