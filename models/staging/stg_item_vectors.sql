with item_vectors as (
    select * from {{ ref('input_item_vectors') }}
),

final as (
    select
        trim(item_id) as item_id,
        coalesce(nullif(trim(modality), ''), 'unknown') as modality,
        max(vector) as vector
    from item_vectors
    where trim(item_id) <> '' and vector is not null
    group by trim(item_id), coalesce(nullif(trim(modality), ''), 'unknown')
)

select * from final
