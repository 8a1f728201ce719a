{{ config(materialized='view') }}

-- Whoever rates nothing would only be told what an item's mean is, and who did not consent gets nothing personal.
with candidates as (
    select * from {{ ref('source_candidates') }}
),

users as (
    select * from {{ ref('user_attributes') }}
    where has_consent
),

raters as (
    select distinct user_key
    from {{ ref('user_ratings') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select distinct
        users.user_key,
        item_stats.item_id
    from candidates
    inner join users
        on candidates.user_number = users.user_number
    inner join raters
        on users.user_key = raters.user_key
    inner join item_stats
        on candidates.item_number = item_stats.item_number
)

select * from final
