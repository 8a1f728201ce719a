{{ config(materialized='view') }}

with users as (
    select * from {{ ref('user_attributes') }}
),

popular as (
    select * from {{ ref('popular_items') }}
    where rank <= {{ var('candidates_per_source') }}
),

listed as (
    select
        users.user_key,
        popular.item_id,
        popular.decayed_popularity as score,
        'everyone' as evidence_kind,
        cast(null as string) as evidence_id,
        popular.users as evidence_count,
        cast(null as double) as evidence_value
    from users
    cross join popular
    where {{ enough_of_shared_list('popular', 'users') }}
),

{{ listed_candidates('popular', 'popular') }}

select * from final
