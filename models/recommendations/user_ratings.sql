with events as (
    select * from {{ ref('events') }}
),

{%- set low, high = var('rating_scale') %}

-- A value outside the scale counts as its end, as it does for the affinity.
rated as (
    select
        user_key,
        item_id,
        event_at,
        least({{ high }}, greatest({{ low }}, value)) as rating
    from events
    where value_kind = 'rating' and value is not null
),

latest as (
    select
        user_key,
        item_id,
        max(event_at) as rated_at
    from rated
    group by user_key, item_id
),

final as (
    select
        rated.user_key,
        rated.item_id,
        latest.rated_at,
        cast(round(avg(rated.rating), 6) as double) as rating
    from rated
    inner join latest
        on
            rated.user_key = latest.user_key
            and rated.item_id = latest.item_id
            and rated.event_at = latest.rated_at
    group by rated.user_key, rated.item_id, latest.rated_at
)

select * from final
