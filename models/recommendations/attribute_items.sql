{{ config(materialized=stored_if_used('attribute')) }}

-- So many users' worth of what everybody takes is mixed in: small cells say little by themselves.
{%- set prior_users = 20 %}

with cells as (
    select * from {{ ref('user_attribute_cells') }}
    where cell_users >= {{ var('min_users_per_cell') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

everyone as (
    select cast(count(*) as double) as users
    from {{ ref('user_attributes') }}
    where positive_events > 0
),

-- Only cells in which somebody has a thin history are asked for.
asked as (
    select distinct cell
    from cells
    where positive_events < {{ var('thin_history_events') }}
),

counted as (
    select
        cells.cell,
        affinity.item_id,
        max(cells.cell_users) as cell_users,
        count(*) as users,
        {{ stable_sum('affinity.recent_events') }} as decayed_popularity
    from affinity
    inner join cells
        on affinity.user_key = cells.user_key
    inner join asked
        on cells.cell = asked.cell
    where affinity.positive_events > 0
    group by cells.cell, affinity.item_id
    having count(*) >= {{ var('min_users_per_cell') }}
),

scored as (
    select
        counted.cell,
        counted.item_id,
        counted.users,
        round(
            (counted.decayed_popularity + {{ prior_users }} * item_stats.decayed_popularity / everyone.users)
            / (counted.cell_users + {{ prior_users }}), 6
        ) as score,
        round(counted.users / cast(counted.cell_users as double), 6) as share,
        round((counted.users / cast(counted.cell_users as double)) / (item_stats.users / everyone.users), 4) as lift
    from counted
    inner join item_stats
        on counted.item_id = item_stats.item_id
    cross join everyone
    where item_stats.is_active and counted.decayed_popularity > 0
),

final as (
    select
        cell,
        cast(row_number() over (
            partition by cell
            order by score desc, users desc, item_id asc
        ) as integer) as rank,
        item_id,
        score,
        users,
        share,
        lift
    from scored
    where score > 0
    qualify rank <= {{ var('candidates_per_source') }}
)

select * from final
