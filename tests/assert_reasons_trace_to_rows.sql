-- Fails when a reason names something that no row stands behind: an item that is not in the user's own history, a
-- segment that is not the user's, a category, context or group of users in which the item was not taken.
with recommendations as (
    select * from {{ ref('user_recommendations') }}
),

evidence as (
    select
        user_key,
        'item' as evidence_kind,
        item_id as evidence_id,
        cast(null as string) as item_id
    from {{ ref('user_item_affinity') }}
    union all
    select
        user_key,
        'segment' as evidence_kind,
        segment_id as evidence_id,
        cast(null as string) as item_id
    from {{ ref('segment_assignments') }}
    union all
    select
        cast(null as string) as user_key,
        'category' as evidence_kind,
        category as evidence_id,
        item_id
    from {{ ref('item_stats') }}
    where users > 0
    union all
    select
        cast(null as string) as user_key,
        'category' as evidence_kind,
        subcategory as evidence_id,
        item_id
    from {{ ref('item_stats') }}
    where users > 0 and subcategory is distinct from category
    {% if 'context' in var('sources') %}
        union all
        select
            user_contexts.user_key,
            'context' as evidence_kind,
            user_contexts.context as evidence_id,
            context_items.item_id
        from {{ ref('user_contexts') }} as user_contexts
        inner join {{ ref('context_items') }} as context_items
            on user_contexts.context = context_items.context
        where context_items.users >= {{ var('min_users_per_cell') }}
    {% endif %}
    {% if 'attribute' in var('sources') %}
        union all
        select
            cells.user_key,
            'attribute' as evidence_kind,
            cells.cell as evidence_id,
            attribute_items.item_id
        from {{ ref('user_attribute_cells') }} as cells
        inner join {{ ref('attribute_items') }} as attribute_items
            on cells.cell = attribute_items.cell
        where attribute_items.users >= {{ var('min_users_per_cell') }}
    {% endif %}
),

named as (
    select
        user_key,
        list,
        rank,
        item_id,
        reason,
        -- Both are items that the user has met.
        case evidence_kind when 'history' then 'item' else evidence_kind end as evidence_kind,
        evidence_id
    from recommendations
    where evidence_id is not null
),

untraced as (
    select
        named.user_key,
        named.list,
        named.rank,
        named.reason
    from named
    left join evidence
        on
            named.evidence_kind = evidence.evidence_kind
            and named.evidence_id = evidence.evidence_id
            and named.user_key = coalesce(evidence.user_key, named.user_key)
            and named.item_id = coalesce(evidence.item_id, named.item_id)
    where evidence.evidence_id is null
),

-- A kind that names something has to say what. A text near to all of a history names no item.
unnamed as (
    select
        user_key,
        list,
        rank,
        reason
    from recommendations
    where
        evidence_id is null and (
            evidence_kind in ('item', 'segment', 'category', 'context', 'attribute')
            or source = 'buy_again'
        )
),

final as (
    select * from untraced
    union all
    select * from unnamed
)

select * from final
