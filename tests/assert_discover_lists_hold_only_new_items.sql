-- Fails when a discover list shows an item that the user has an event with, clean and before the wall.
select
    recommendations.user_key,
    recommendations.item_id
from {{ ref('user_recommendations') }} as recommendations
inner join {{ ref('user_item_affinity') }} as affinity
    on
        recommendations.user_key = affinity.user_key
        and recommendations.item_id = affinity.item_id
where recommendations.list = 'discover'
