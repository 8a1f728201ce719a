-- Fails when an inactive item stands in any list.
with listed as (
    select item_id from {{ ref('user_recommendations') }}
    union
    select item_id from {{ ref('segment_recommendations') }}
    union
    select similar_item_id as item_id from {{ ref('similar_items') }}
)

select item_stats.item_id
from listed
inner join {{ ref('item_stats') }} as item_stats
    on listed.item_id = item_stats.item_id
where not item_stats.is_active
