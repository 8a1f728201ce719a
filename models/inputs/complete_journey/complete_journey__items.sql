with products as (
    select * from {{ complete_journey_file('products') }}
),

-- Types of meat and fish are short: 'Primal' of the category beef becomes 'Primal (beef)'.
titled as (
    select
        *,
        {{ sentence_case('product_type') }}
        || case
            when department in ('MEAT', 'SEAFOOD') and not contains(product_type, product_category)
                then ' (' || lower(product_category) || ')'
            else ''
        end
        || ', ' || lower(brand) || ' brand'
        || coalesce(', ' || package_size, '') as title
    from products
),

final as (
    select
        cast(product_id as string) as item_id,
        {{ replace_matches('title', ' +', ' ') }} as title,
        product_category as category,
        product_type as subcategory,
        brand,
        cast(null as string) as description,
        cast(null as double) as price,
        cast(null as timestamp) as released_at,
        true as is_active,
        cast(to_json({ x_department: department, x_manufacturer_id: manufacturer_id }) as varchar) as extras
    from titled
)

select * from final
