with shown_items as (
    select * from {{ ref('shown_items') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

final as (
    select
        cast(shown_items.impression_id as string) as impression_id,
        cast(shown_items.user_key as string) as user_key,
        cast(shown_items.item_id as string) as item_id,
        cast(item_stats.title as string) as title,
        cast(shown_items.shown_at as timestamp) as shown_at,
        cast(case
            when shown_items.strategy in ('for_you', 'discover') then shown_items.strategy
            when shown_items.placement in ('for_you', 'discover') then shown_items.placement
        end as string) as list,
        cast(shown_items.position as integer) as rank,
        cast(shown_items.placement as string) as placement,
        cast(shown_items.strategy as string) as strategy,
        cast(shown_items.variant as string) as variant,
        cast(shown_items.response_events > 0 as boolean) as is_acted_on,
        cast(shown_items.response_events as bigint) as response_events,
        cast(shown_items.first_acted_at as timestamp) as first_acted_at,
        cast(shown_items.first_event_type as string) as first_event_type,
        cast(shown_items.days_to_action as double) as days_to_action,
        cast(shown_items.age_days >= {{ var('shown_response_days') }} as boolean) as is_settled
    from shown_items
    left join item_stats
        on shown_items.item_id = item_stats.item_id
)

select * from final
