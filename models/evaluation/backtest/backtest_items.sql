with item_stats as (
    select * from {{ ref('item_stats') }}
),

matrix_users as (
    select count(*) as users from {{ ref('matrix_users') }}
),

known_users as (
    select count(*) as users from {{ ref('user_attributes') }}
),

counted as (
    select
        item_number,
        item_id,
        category,
        is_active,
        users,
        positive_events,
        coalesce(
            sum(positive_events) over (
                order by positive_events desc, item_number asc
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as events_of_more_used,
        sum(positive_events) over () as all_events
    from item_stats
),

final as (
    select
        counted.item_number,
        counted.item_id,
        counted.category,
        counted.is_active,
        counted.users > 0 and counted.users >= {{ least_item_users('matrix_users.users') }} as is_supported,
        counted.events_of_more_used >= 0.8e0 * counted.all_events as is_tail,
        -- One user at least: an item that nobody has would be infinitely new.
        round(
            -log2(greatest(counted.users, 1) / cast(greatest(known_users.users, 1) as double)), 6
        ) as information
    from counted
    cross join matrix_users
    cross join known_users
)

select * from final
