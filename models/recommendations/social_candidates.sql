{{ config(materialized=stored_if_used('social')) }}

{%- set related_users_per_user = 50 %}
-- From one related user only, a list would tell what that one person took.
{%- set min_related_users = 2 %}

with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

matrix_users as (
    select * from {{ ref('matrix_users') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

relations as (
    select
        user_key,
        related_user_key,
        {{ stable_sum('weight') }} as weight
    from {{ ref('stg_user_relations') }}
    group by user_key, related_user_key
),

-- Who did not consent is neither shown something for others nor others for it.
related as (
    select
        users.user_number,
        matrix_users.user_index as related_index,
        relations.weight
    from relations
    inner join users
        on relations.user_key = users.user_key
    inner join users as related_users
        on relations.related_user_key = related_users.user_key
    inner join matrix_users
        on relations.related_user_key = matrix_users.user_key
    where relations.weight > 0 and related_users.has_consent
    qualify row_number() over (
        partition by users.user_number
        order by relations.weight desc, matrix_users.user_index asc
    ) <= {{ related_users_per_user }}
),

circles as (
    select
        user_number,
        {{ stable_sum('weight') }} as weight,
        count(*) as related_users
    from related
    group by user_number
),

liked as (
    select
        related.user_number,
        item_stats.item_number,
        round(related.weight * top_items.affinity, 6) as strength
    from related
    inner join {{ ref('user_top_items') }} as top_items
        on related.related_index = top_items.user_index
    inner join matrix_items
        on top_items.item_index = matrix_items.item_index
    inner join item_stats
        on matrix_items.item_id = item_stats.item_id
    where item_stats.is_active
),

summed as (
    select
        user_number,
        item_number,
        {{ stable_sum('strength') }} as strength,
        count(*) as related_users
    from liked
    group by user_number, item_number
    having count(*) >= {{ min_related_users }}
),

scored as (
    select
        summed.user_number,
        summed.item_number,
        round(summed.strength / circles.weight, 6) as score,
        'user' as evidence_kind,
        cast(null as string) as evidence_id,
        summed.related_users as evidence_count,
        round(summed.related_users / cast(circles.related_users as double), 6) as evidence_value
    from summed
    inner join circles
        on summed.user_number = circles.user_number
),

{{ strongest_new_candidates('social') }}

select * from final
