{{ config(materialized='view') }}

-- Whoever rates nothing would only be told what an item's mean is, and who did not consent gets nothing personal.
with lists as (
    select * from {{ ref('user_lists') }}
),

users as (
    select * from {{ ref('user_attributes') }}
    where has_consent
),

raters as (
    select distinct user_key
    from {{ ref('user_ratings') }}
),

final as (
    select distinct
        lists.user_key,
        lists.item_id
    from lists
    inner join users
        on lists.user_key = users.user_key
    inner join raters
        on lists.user_key = raters.user_key
)

select * from final
