with demographics as (
    select * from {{ complete_journey_file('demographics') }}
),

final as (
    select
        cast(household_id as string) as user_id,
        cast(null as timestamp) as signed_up_at,
        age as age_band,
        cast(null as string) as gender,
        cast(null as string) as region,
        cast(null as string) as occupation,
        income as income_band,
        household_comp as household,
        cast(null as boolean) as consent,
        cast(to_json({
            x_home_ownership: home_ownership,
            x_marital_status: marital_status,
            x_household_size: household_size,
            x_kids_count: kids_count
        }) as varchar) as extras
    from demographics
)

select * from final
