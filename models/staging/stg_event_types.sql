with event_types as (
    select * from {{ ref('event_types') }}
),

final as (
    select
        lower(trim(event_type)) as event_type,
        canonical_type,
        cast(weight as double) as weight,
        cast(sign as double) as sign,
        value_kind,
        is_order_line
    from event_types
)

select * from final
