-- Impressions of items before the wall, with what the user did with the item afterwards, also before the wall.
with impressions as (
    select * from {{ ref('stg_impressions') }}
),

wall as (
    select * from {{ ref('wall') }}
),

events as (
    select * from {{ ref('events') }}
    where preference > 0
),

-- An id that stands twice is the same impression reported twice.
shown as (
    select
        impressions.impression_id,
        impressions.user_key,
        impressions.item_id,
        impressions.shown_at,
        impressions.placement,
        impressions.strategy,
        impressions.variant,
        impressions.position,
        ({{ epoch_seconds('wall.as_of') }} - {{ epoch_seconds('impressions.shown_at') }}) / 86400.0e0 as age_days
    from impressions
    cross join wall
    where
        impressions.shown_at < wall.as_of
        and impressions.item_id is not null
        and impressions.impression_id is not null
    qualify row_number() over (
        partition by impressions.impression_id
        order by impressions.shown_at asc, impressions.user_key asc, impressions.item_id asc
    ) = 1
),

answered as (
    select
        shown.impression_id,
        min(events.event_at) as first_acted_at,
        min_by(events.event_type, (events.event_at, events.event_type)) as first_event_type,
        count(*) filter (
            where {{ epoch_seconds('events.event_at') }} - {{ epoch_seconds('shown.shown_at') }}
            < 86400.0e0 * {{ var('shown_response_days') }}
        ) as response_events
    from shown
    inner join events
        on
            shown.user_key = events.user_key
            and shown.item_id = events.item_id
    where events.event_at >= shown.shown_at
    group by shown.impression_id
),

final as (
    select
        shown.impression_id,
        shown.user_key,
        shown.item_id,
        shown.shown_at,
        shown.placement,
        shown.strategy,
        shown.variant,
        shown.position,
        shown.age_days,
        answered.first_acted_at,
        answered.first_event_type,
        round(
            ({{ epoch_seconds('answered.first_acted_at') }} - {{ epoch_seconds('shown.shown_at') }}) / 86400.0e0, 6
        ) as days_to_action,
        coalesce(answered.response_events, 0) as response_events
    from shown
    left join answered
        on shown.impression_id = answered.impression_id
)

select * from final
