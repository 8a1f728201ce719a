with users as (
    select * from {{ ref('input_users') }}
),

user_keys as (
    select * from {{ ref('stg_user_keys') }}
),

events as (
    select * from {{ ref('stg_events_checked') }}
),

described as (
    select
        user_keys.user_key,
        users.signed_up_at,
        nullif(trim(users.age_band), '') as age_band,
        nullif(trim(users.gender), '') as gender,
        nullif(trim(users.region), '') as region,
        nullif(trim(users.occupation), '') as occupation,
        nullif(trim(users.income_band), '') as income_band,
        nullif(trim(users.household), '') as household,
        users.consent,
        users.extras
    from users
    inner join user_keys
        on trim(users.user_id) = user_keys.user_id
    qualify row_number() over (
        partition by user_keys.user_key
        order by
            users.signed_up_at nulls last, users.age_band nulls last, users.gender nulls last,
            users.region nulls last, users.occupation nulls last, users.income_band nulls last,
            users.household nulls last
    ) = 1
),

active as (
    select distinct user_key
    from events
    where rejection_reason is null
),

final as (
    select
        coalesce(described.user_key, active.user_key) as user_key,
        described.signed_up_at,
        described.age_band,
        described.gender,
        described.region,
        described.occupation,
        described.income_band,
        described.household,
        coalesce(described.consent, true) as has_consent,
        described.user_key is not null as has_attributes,
        described.extras
    from described
    full outer join active
        on described.user_key = active.user_key
)

select * from final
