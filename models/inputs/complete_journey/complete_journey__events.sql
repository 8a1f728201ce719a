{{ config(materialized="table") }}

with transactions as (
    select * from {{ complete_journey_file('transactions') }}
),

redemptions as (
    select * from {{ complete_journey_file('coupon_redemptions') }}
),

coupons as (
    select * from {{ complete_journey_file('coupons') }}
),

purchases as (
    select
        cast(household_id as string) as user_id,
        cast(product_id as string) as item_id,
        'purchase' as event_type,
        transaction_timestamp as event_at,
        sales_value as value,
        cast(quantity as double) as quantity,
        cast(basket_id as string) as session_id,
        'store ' || store_id as context
    from transactions
),

product_sales as (
    select
        product_id,
        count(*) as lines
    from transactions
    group by product_id
),

-- A coupon is valid for many products; the redemption goes to the one that the household bought that day,
-- else to the one that sells best.
redemption_products as (
    select
        redemptions.household_id,
        redemptions.coupon_upc,
        redemptions.campaign_id,
        redemptions.redemption_date,
        coupons.product_id,
        max(transactions.transaction_timestamp) as bought_at,
        coalesce(max(product_sales.lines), 0) as lines
    from redemptions
    inner join coupons
        on
            redemptions.coupon_upc = coupons.coupon_upc
            and redemptions.campaign_id = coupons.campaign_id
    left join product_sales
        on coupons.product_id = product_sales.product_id
    left join transactions
        on
            redemptions.household_id = transactions.household_id
            and coupons.product_id = transactions.product_id
            and cast(redemptions.redemption_date as date) = cast(transactions.transaction_timestamp as date)
    group by all
),

redemption_events as (
    select
        cast(household_id as string) as user_id,
        cast(product_id as string) as item_id,
        'redeem_coupon' as event_type,
        coalesce(bought_at, redemption_date) as event_at,
        cast(null as double) as value,
        cast(null as double) as quantity,
        'coupon ' || coupon_upc as session_id,
        'campaign ' || campaign_id as context
    from redemption_products
    qualify row_number() over (
        partition by household_id, coupon_upc, campaign_id, redemption_date
        order by (bought_at is not null) desc, lines desc, product_id
    ) = 1
),

final as (
    select * from purchases
    union all
    select * from redemption_events
)

select
    *,
    cast(null as string) as event_text,
    cast(null as string) as extras
from final
