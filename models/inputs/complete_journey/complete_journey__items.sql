with products as (
    select * from {{ complete_journey_file('products') }}
),

final as (
    select
        cast(product_id as string) as item_id,
        {{ sentence_case('product_type') }}
        || ', ' || lower(brand) || ' brand'
        || coalesce(', ' || package_size, '') as title,
        product_category as category,
        product_type as subcategory,
        brand,
        cast(null as string) as description,
        cast(null as double) as price,
        cast(null as timestamp) as released_at,
        true as is_active,
        cast(to_json({ x_department: department, x_manufacturer_id: manufacturer_id }) as varchar) as extras
    from products
)

select * from final
