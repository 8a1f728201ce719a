{{ config(materialized='view') }}

with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

-- The trend is smoothed already; that few users cannot make one is what the bound is for.
rising as (
    select
        item_id,
        users,
        round(trend * ln(1 + decayed_popularity), 6) as score,
        round(exp(trend), 4) as growth
    from item_stats
    where is_active and trend > 0 and users >= {{ var('min_users_per_cell') }} and decayed_popularity > 0
    qualify row_number() over (
        order by trend * ln(1 + decayed_popularity) desc, users desc, item_id asc
    ) <= {{ var('candidates_per_source') }}
),

listed as (
    select
        users.user_key,
        rising.item_id,
        rising.score,
        'everyone' as evidence_kind,
        cast(null as string) as evidence_id,
        rising.users as evidence_count,
        rising.growth as evidence_value
    from users
    cross join rising
),

{{ listed_candidates('rising', 'rising') }}

select * from final
