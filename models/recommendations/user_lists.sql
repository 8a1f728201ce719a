{%- set top_n, slots, tail_share = var('top_n'), var('exploration_slots'), var('tail_share') %}

with candidates as (
    select * from {{ ref('shaped_candidates') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

{% if slots or tail_share -%}
    tail_items as (
        select * from {{ ref('tail_items') }}
    ),

    -- Where everything would stand by score, behind the pins, and how long the list will be.
    placed as (
        select
            candidates.*,
            tail_items.item_number is not null as is_tail,
            row_number() over (
                partition by candidates.user_number, candidates.list
                order by
                    coalesce(candidates.pinned_place, 1000000) asc, candidates.score desc, candidates.item_number asc
            ) as place,
            least({{ top_n }}, count(*) over (
                partition by candidates.user_number, candidates.list
            )) as list_length
        from candidates
        left join tail_items
            on candidates.item_number = tail_items.item_number
    ),

    -- New items that stand above the reserved places by their score stay there and leave the places to the next.
    newcomers as (
        select
            placed.*,
            placed.source = 'new_item'
            and placed.place > placed.list_length - {{ slots }}
            and placed.pinned_place is null as is_newcomer
        from placed
    ),

    explored as (
        select
            newcomers.*,
            newcomers.is_newcomer and row_number() over (
                partition by newcomers.user_number, newcomers.list, newcomers.is_newcomer
                order by newcomers.place
            ) <= {{ slots }} as is_exploration
        from newcomers
    ),

    -- Pins and new items on reserved places count for the quota of the tail.
    reserved as (
        select
            explored.*,
            explored.is_tail and row_number() over (
                partition by explored.user_number, explored.list, explored.is_tail
                order by
                    case when explored.pinned_place is not null or explored.is_exploration then 0 else 1 end asc,
                    explored.place asc
            ) <= ceil(round(cast({{ tail_share }} as double) * explored.list_length, 6)) as is_reserved
        from explored
    ),

    prioritised as (
        select
            user_number,
            list,
            case
                when pinned_place is not null then 3
                when is_exploration then 2
                when is_reserved then 1
                else 0
            end as priority,
            score,
            -item_number as use_order,
            item_number,
            source,
            is_repeat,
            pinned_place,
            is_exploration
        from reserved
    ),
{%- else -%}
    prioritised as (
        select
            user_number,
            list,
            case when pinned_place is not null then 3 else 0 end as priority,
            score,
            -item_number as use_order,
            item_number,
            source,
            is_repeat,
            pinned_place,
            false as is_exploration
        from candidates
    ),
{%- endif %}

best as (
    select
        user_number,
        list,
        {{ top_rows([
            'priority', 'score', 'use_order', 'item_number', 'source', 'is_repeat', 'pinned_place', 'is_exploration'
        ], top_n) }} as items
    from prioritised
    group by user_number, list
),

exploded as (
    select
        user_number,
        list,
        {{ explode('items') }} as item
    from best
),

unpacked as (
    select
        exploded.user_number,
        exploded.list,
        item.item_number,
        item.score,
        item.source,
        item.is_repeat,
        item.pinned_place,
        item.pinned_place is not null as is_pinned,
        item.is_exploration
    from exploded
),

-- Pins among pins by their place, all others by their score, exploration last.
ordered as (
    select
        unpacked.*,
        row_number() over (
            partition by unpacked.user_number, unpacked.list, unpacked.is_pinned
            order by
                unpacked.pinned_place asc, unpacked.is_exploration asc, unpacked.score desc, unpacked.item_number asc
        ) as place
    from unpacked
),

-- The j-th pin at place p has p - j other items above it, so that it comes right after the (p - j)-th of them.
final as (
    select
        users.user_key,
        ordered.list,
        cast(row_number() over (
            partition by ordered.user_number, ordered.list
            order by
                case when ordered.is_pinned then ordered.pinned_place - ordered.place else ordered.place end asc,
                ordered.is_pinned asc, ordered.place asc
        ) as integer) as rank,
        item_stats.item_id,
        ordered.score,
        ordered.source,
        ordered.is_repeat,
        ordered.is_pinned,
        ordered.is_exploration
    from ordered
    inner join users
        on ordered.user_number = users.user_number
    inner join item_stats
        on ordered.item_number = item_stats.item_number
)

select * from final
