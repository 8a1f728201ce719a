-- Fails when a reason names something that no row stands behind: an item that is not in the user's own history, a
-- segment, context or group that is not the user's, a category, context or group in which the item was not taken.
with recommendations as (
    select * from {{ ref('user_recommendations') }}
),

-- subject is a user or an item: what the evidence has to be about.
evidence as (
    select
        'item' as kind,
        item_id as evidence_id,
        user_key as subject
    from {{ ref('user_item_affinity') }}
    union all
    select
        'segment' as kind,
        segment_id as evidence_id,
        user_key as subject
    from {{ ref('segment_assignments') }}
    union all
    select
        'category' as kind,
        category as evidence_id,
        item_id as subject
    from {{ ref('item_stats') }}
    where users > 0
    union all
    select
        'category' as kind,
        subcategory as evidence_id,
        item_id as subject
    from {{ ref('item_stats') }}
    where users > 0
    {% if 'context' in var('sources') %}
        union all
        select
            'context' as kind,
            context as evidence_id,
            user_key as subject
        from {{ ref('user_contexts') }}
        union all
        select
            'context' as kind,
            context as evidence_id,
            item_id as subject
        from {{ ref('context_items') }}
        where users >= {{ var('min_users_per_cell') }}
    {% endif %}
    {% if 'attribute' in var('sources') %}
        union all
        select
            'attribute' as kind,
            cell as evidence_id,
            user_key as subject
        from {{ ref('user_attribute_cells') }}
        union all
        select
            'attribute' as kind,
            cell as evidence_id,
            item_id as subject
        from {{ ref('attribute_items') }}
        where users >= {{ var('min_users_per_cell') }}
    {% endif %}
),

-- Both history and item name an item that the user has met.
about_users as (
    select
        case evidence_kind when 'history' then 'item' else evidence_kind end as kind,
        evidence_id,
        user_key as subject,
        reason
    from recommendations
    where evidence_id is not null and evidence_kind <> 'category'
),

about_items as (
    select
        evidence_kind as kind,
        evidence_id,
        item_id as subject,
        reason
    from recommendations
    where evidence_id is not null and evidence_kind in ('category', 'context', 'attribute')
),

named as (
    select * from about_users
    union all
    select * from about_items
),

untraced as (
    select
        named.subject,
        named.reason
    from named
    left join evidence
        on
            named.kind = evidence.kind
            and named.evidence_id = evidence.evidence_id
            and named.subject = evidence.subject
    where evidence.subject is null
),

-- A kind that names something has to say what. A text near to all of a history names no item.
unnamed as (
    select
        user_key as subject,
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
