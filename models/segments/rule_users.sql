-- Rules need no more users than this; chance has no part in who they are.
{%- set max_users = 20000 %}

with user_features as (
    select * from {{ ref('user_features') }}
),

sampled as (
    select
        user_key,
        row_number() over (order by md5(user_key), user_key) as position
    from user_features
),

-- 4ccc is 0.3 x 65536: three users in ten are left out of the fit, to measure on.
final as (
    select
        user_key,
        substr(md5('held out ' || user_key), 1, 4) < '4ccc' as is_held_out
    from sampled
    where position <= {{ max_users }}
)

select * from final
