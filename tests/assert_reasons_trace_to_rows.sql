-- Fails when a reason names an item that is not in the user's own history, or a repeat that has no event behind it.
with recommendations as (
    select * from {{ ref('user_recommendations') }}
),

affinity as (
    select * from {{ ref('user_item_affinity') }}
)

select
    recommendations.user_key,
    recommendations.list,
    recommendations.rank,
    recommendations.reason
from recommendations
left join affinity
    on
        recommendations.user_key = affinity.user_key
        and coalesce(
            recommendations.evidence_item_id,
            case when recommendations.source = 'buy_again' then recommendations.item_id end
        ) = affinity.item_id
where
    (recommendations.evidence_item_id is not null or recommendations.source = 'buy_again')
    and affinity.item_id is null
