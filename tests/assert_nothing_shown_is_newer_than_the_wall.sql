-- Fails when an impression, or an answer to one, at or after the wall is seen.
select
    shown_items.impression_id,
    shown_items.shown_at,
    shown_items.first_acted_at
from {{ ref('shown_items') }} as shown_items
cross join {{ ref('wall') }} as wall
where shown_items.shown_at >= wall.as_of or shown_items.first_acted_at >= wall.as_of
