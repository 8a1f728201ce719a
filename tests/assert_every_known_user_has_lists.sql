-- Fails when a user known at the wall has no for_you list although something popular could be shown.
select users.user_key
from {{ ref('user_attributes') }} as users
left join {{ ref('user_recommendations') }} as recommendations
    on
        users.user_key = recommendations.user_key
        and recommendations.list = 'for_you'
where
    recommendations.user_key is null
    and exists (select 1 from {{ ref('popular_items') }})
