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
bought_products as (
    select
        redemptions.household_id,
        redemptions.coupon_upc,
        redemptions.campaign_id,
        redemptions.redemption_date,
        transactions.product_id,
        max(transactions.transaction_timestamp) as bought_at
    from redemptions
    inner join transactions
        on
            redemptions.household_id = transactions.household_id
            and cast(redemptions.redemption_date as date) = cast(transactions.transaction_timestamp as date)
    inner join coupons
        on
            redemptions.coupon_upc = coupons.coupon_upc
            and redemptions.campaign_id = coupons.campaign_id
            and transactions.product_id = coupons.product_id
    group by
        redemptions.household_id, redemptions.coupon_upc, redemptions.campaign_id, redemptions.redemption_date,
        transactions.product_id
    qualify row_number() over (
        partition by
            redemptions.household_id, redemptions.coupon_upc, redemptions.campaign_id, redemptions.redemption_date
        order by max(transactions.transaction_timestamp) desc, transactions.product_id
    ) = 1
),

-- else to the one that sells best.
best_sellers as (
    select
        coupons.coupon_upc,
        coupons.campaign_id,
        coupons.product_id
    from coupons
    left join product_sales
        on coupons.product_id = product_sales.product_id
    qualify row_number() over (
        partition by coupons.coupon_upc, coupons.campaign_id
        order by product_sales.lines desc nulls last, coupons.product_id asc
    ) = 1
),

redemption_events as (
    select
        cast(redemptions.household_id as string) as user_id,
        cast(coalesce(bought_products.product_id, best_sellers.product_id) as string) as item_id,
        'redeem_coupon' as event_type,
        coalesce(bought_products.bought_at, redemptions.redemption_date) as event_at,
        cast(null as double) as value,
        cast(null as double) as quantity,
        'coupon ' || redemptions.coupon_upc as session_id,
        'campaign ' || redemptions.campaign_id as context
    from redemptions
    left join bought_products
        on
            redemptions.household_id = bought_products.household_id
            and redemptions.coupon_upc = bought_products.coupon_upc
            and redemptions.campaign_id = bought_products.campaign_id
            and redemptions.redemption_date = bought_products.redemption_date
    left join best_sellers
        on
            redemptions.coupon_upc = best_sellers.coupon_upc
            and redemptions.campaign_id = best_sellers.campaign_id
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
