with campaigns as (
    select * from {{ complete_journey_file('campaigns') }}
),

descriptions as (
    select * from {{ complete_journey_file('campaign_descriptions') }}
),

final as (
    select
        campaigns.campaign_id || '-' || campaigns.household_id as impression_id,
        cast(campaigns.household_id as string) as user_id,
        cast(null as string) as item_id,
        descriptions.start_date as shown_at,
        descriptions.end_date as shown_until,
        'coupon campaign ' || campaigns.campaign_id as placement,
        descriptions.campaign_type as strategy,
        cast(null as string) as variant,
        cast(null as bigint) as position
    from campaigns
    inner join descriptions
        on campaigns.campaign_id = descriptions.campaign_id
)

select * from final
