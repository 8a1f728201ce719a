{{ config(materialized=stored_if_used('context')) }}

with events as (
    select * from {{ ref('events') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

user_contexts as (
    select * from {{ ref('user_contexts') }}
),

main_contexts as (
    select distinct context from user_contexts
),

user_items as (
    select
        events.context,
        events.user_key,
        events.item_id,
        {{ stable_sum('round(' ~ decay('events.age_days', var('popularity_half_life_days')) ~ ', 6)') }}
            as recent_events
    from events
    inner join main_contexts
        on events.context = main_contexts.context
    where events.preference > 0
    group by events.context, events.user_key, events.item_id
),

sizes as (
    select
        context,
        cast(count(distinct user_key) as double) as users
    from user_items
    group by context
),

everyone as (
    select cast(count(*) as double) as users
    from {{ ref('user_attributes') }}
    where positive_events > 0
),

-- Small cells could point at single users.
counted as (
    select
        context,
        item_id,
        count(*) as users,
        {{ stable_sum('recent_events') }} as decayed_popularity
    from user_items
    group by context, item_id
    having count(*) >= {{ var('min_users_per_cell') }}
),

shared as (
    select
        counted.context,
        counted.item_id,
        counted.decayed_popularity,
        counted.users,
        round(counted.users / sizes.users, 6) as share,
        round((counted.users / sizes.users) / (item_stats.users / everyone.users), 4) as lift
    from counted
    inner join sizes
        on counted.context = sizes.context
    inner join item_stats
        on counted.item_id = item_stats.item_id
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
