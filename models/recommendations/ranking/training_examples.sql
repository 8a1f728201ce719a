{{ config(materialized=stored_if_learning()) }}

-- Candidates at the earlier wall of users who took anything afterwards: all that were taken, and of the others a part
-- with a weight that makes up for the rest. Which part follows from the numbers, so it is the same in every build.
with candidates as (
    select * from {{ ref('candidate_features') }}
    where wall_number = 1
),

takers as (
    select distinct user_number
    from candidates
    where is_taken
),

sampled as (
    select
        candidates.*,
        case when candidates.is_taken then 1 when candidates.is_repeat then 2 else 8 end as one_in,
        (candidates.user_number * cast(7919 as bigint) + candidates.item_number * cast(104729 as bigint)) % 8 as lot
    from candidates
    inner join takers
        on candidates.user_number = takers.user_number
),

final as (
    select
        user_number,
        item_number,
        segment_id,
        is_repeat,
        is_taken,
        cast(one_in as double) as weight,
        {% for feature in ranking_features() %}
            {{ feature }},
        {% endfor %}
        repeated
    from sampled
    where lot % one_in = 0
)

select * from final
