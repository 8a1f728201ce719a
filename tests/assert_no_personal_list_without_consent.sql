-- Fails when a user who did not consent is shown what is not the same for everybody, or stands in an audience.
with shown as (
    select
        user_key,
        source as problem
    from {{ ref('user_recommendations') }}
    where fallback_level < 3
    union all
    select
        user_key,
        'audience' as problem
    from {{ ref('item_audiences') }}
    where kind = 'user'
)

select
    shown.user_key,
    shown.problem
from shown
inner join {{ ref('user_attributes') }} as users
    on shown.user_key = users.user_key
where not users.has_consent
