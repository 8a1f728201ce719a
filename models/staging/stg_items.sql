with items as (
    select * from {{ ref('input_items') }}
),

events as (
    select * from {{ ref('stg_events_checked') }}
),

trimmed as (
    select
        nullif(trim(item_id), '') as item_id,
        nullif(trim(title), '') as title,
        nullif(trim(category), '') as category,
        nullif(trim(subcategory), '') as subcategory,
        nullif(trim(brand), '') as brand,
        nullif(trim(description), '') as description,
        case when price > 0 then price end as price,
        released_at,
        is_active,
        extras
    from items
),

described as (
    select *
    from trimmed
    where item_id is not null
    -- Several rows for one item: the fullest title describes it.
    qualify row_number() over (
        partition by item_id
        order by
            length(title) desc nulls last, title nulls last, category asc nulls last,
            subcategory asc nulls last, brand asc nulls last, price desc nulls last
    ) = 1
),

used as (
    select distinct item_id
    from events
    where rejection_reason is null
),

final as (
    select
        coalesce(described.item_id, used.item_id) as item_id,
        coalesce(described.title, described.item_id, used.item_id) as title,
        described.title is not null as has_title,
        described.item_id is not null as is_described,
        described.category,
        described.subcategory,
        described.brand,
        described.description,
        described.price,
        described.released_at,
        coalesce(described.is_active, true) as is_active,
        described.extras
    from described
    full outer join used
        on described.item_id = used.item_id
)

select * from final
