{{ config(materialized=stored_if_used('context')) }}

with events as (
    select * from {{ ref('events') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

user_contexts as (
    select * from {{ ref('user_contexts') }}
),

main_contexts as (
    select distinct context from user_contexts
),

-- By numbers: a row for every user and item of a context is as long as the whole history.
user_items as (
    select
        events.context,
        users.user_number,
        item_stats.item_number,
        {{ stable_sum('round(' ~ decay('events.age_days', var('popularity_half_life_days')) ~ ', 6)') }}
            as recent_events
    from events
    inner join main_contexts
        on events.context = main_contexts.context
    inner join users
        on events.user_key = users.user_key
    inner join item_stats
        on events.item_id = item_stats.item_id
    where events.preference > 0
    group by events.context, users.user_number, item_stats.item_number
),

sizes as (
    select
        context,
        cast(count(distinct user_number) as double) as users
    from user_items
    group by context
),

everyone as (
    select cast(count(*) as double) as users
    from users
    where positive_events > 0
),

-- Small cells could point at single users.
counted as (
    select
        context,
        item_number,
        count(*) as users,
        {{ stable_sum('recent_events') }} as decayed_popularity
    from user_items
    group by context, item_number
    having count(*) >= {{ var('min_users_per_cell') }}
),

shared as (
    select
        counted.context,
        item_stats.item_id,
        counted.decayed_popularity,
        counted.users,
        round(counted.users / sizes.users, 6) as share,
        round((counted.users / sizes.users) / (item_stats.users / everyone.users), 4) as lift
    from counted
    inner join sizes
        on counted.context = sizes.context
    inner join item_stats
        on counted.item_number = item_stats.item_number
    cross join everyone
    where item_stats.is_active and counted.decayed_popularity > 0
),

final as (
    select
        context,
        cast(row_number() over (
            partition by context
            order by decayed_popularity desc, users desc, item_id asc
        ) as integer) as rank,
        item_id,
        decayed_popularity,
        users,
        share,
        lift
    from shared
    qualify rank <= {{ var('candidates_per_source') }}
)

select * from final
