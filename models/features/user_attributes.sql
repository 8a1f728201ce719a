with users as (
    select * from {{ ref('stg_users') }}
),

wall as (
    select * from {{ ref('wall') }}
),

active as (
    select
        user_key,
        count(*) as events,
        count(*) filter (where preference > 0) as positive_events,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at
    from {{ ref('events') }}
    group by user_key
),

-- Who is known at the wall: everybody with an event before it, and everybody who had signed up.
final as (
    select
        cast(row_number() over (order by users.user_key) as integer) as user_number,
        users.user_key,
        users.signed_up_at,
        users.age_band,
        users.gender,
        users.region,
        users.occupation,
        users.income_band,
        users.household,
        users.has_consent,
        users.has_attributes,
        coalesce(active.events, 0) as events,
        coalesce(active.positive_events, 0) as positive_events,
        active.first_event_at,
        active.last_event_at
    from users
    cross join wall
    left join active
        on users.user_key = active.user_key
    where
        active.user_key is not null
        or (users.has_attributes and (users.signed_up_at is null or users.signed_up_at < wall.as_of))
)

select * from final
