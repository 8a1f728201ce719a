{{ config(materialized='view') }}

with users as (
    select * from {{ ref('backtest_users') }}
),

blend as (
    select
        'blend' as strategy,
        lists.list,
        lists.user_key,
        lists.rank,
        lists.item_id
    from {{ ref('user_lists') }} as lists
    inner join users
        on lists.user_key = users.user_key
),

items as (
    select * from {{ ref('item_stats') }}
),

-- What learned weights alone would give: whether the trees on top are worth it.
weighted as (
    select
        'weights' as strategy,
        finalists.list,
        users.user_key,
        cast(row_number() over (
            partition by finalists.list, finalists.user_number
            order by finalists.logit desc, finalists.item_number asc
        ) as integer) as rank,
        items.item_id
    from {{ ref('ranking_finalists') }} as finalists
    inner join users
        on finalists.user_number = users.user_number
    inner join items
        on finalists.item_number = items.item_number
    where finalists.logit is not null
),

-- A source alone: its candidates by their score, those that are new to the user once more for discover.
candidates as (
    select
        candidates.source,
        candidates.score,
        candidates.is_repeat,
        candidates.user_key,
        candidates.item_id,
        candidates.item_number
    from {{ ref('source_candidates') }} as candidates
    inner join users
        on candidates.user_key = users.user_key
),

alone as (
    {% for list in list_conditions() %}
        select
            source as strategy,
            '{{ list }}' as list,
            user_key,
            cast(row_number() over (
                partition by source, user_key
                order by score desc, item_number asc
            ) as integer) as rank,
            item_id
        from candidates
        {{ "where not is_repeat" if list == 'discover' }}
        {{ "union all" if not loop.last }}
    {% endfor %}
),

peers as (
    {{ read_peer_lists() }}
),

peer_lists as (
    select
        peers.strategy,
        peers.list,
        peers.user_key,
        peers.rank,
        peers.item_id
    from peers
    inner join users
        on peers.user_key = users.user_key
),

final as (
    select * from blend
    union all
    select * from weighted
    where rank <= {{ var('top_n') }}
    union all
    select * from alone
    where rank <= {{ var('top_n') }}
    union all
    select * from peer_lists
)

select * from final
