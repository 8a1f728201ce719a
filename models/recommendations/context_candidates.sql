{{ config(materialized='view') }}

with users as (
    select * from {{ ref('user_attributes') }}
),

user_contexts as (
    select * from {{ ref('user_contexts') }}
),

context_list as (
    select * from {{ ref('context_items') }}
),

listed as (
    select
        user_contexts.user_key,
        context_list.item_id,
        context_list.decayed_popularity as score,
        'context' as evidence_kind,
        context_list.context as evidence_id,
        context_list.users as evidence_count,
        context_list.lift as evidence_value
    from user_contexts
    inner join users
        on user_contexts.user_key = users.user_key
    inner join context_list
        on user_contexts.context = context_list.context
    where {{ enough_of_shared_list('context_list', 'users') }}
),

{{ listed_candidates('context', 'context_list') }}

select * from final
