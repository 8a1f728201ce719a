with drift_dates as (
    select * from {{ ref('feature_drift_dates') }}
),

wall as (
    select * from {{ ref('wall') }}
),

final as (
    select
        cast(drift_dates.as_of as timestamp) as as_of,
        cast(drift_dates.reference_as_of as timestamp) as reference_as_of,
        cast(drift_dates.feature as string) as feature,
        cast(drift_dates.users as bigint) as users,
        cast(drift_dates.reference_users as bigint) as reference_users,
        cast(drift_dates.psi as double) as psi,
        cast(drift_dates.psi_by_chance as double) as psi_by_chance,
        cast({{ stability_word('drift_dates.psi', 'drift_dates.psi_by_chance') }} as string) as verdict
    from drift_dates
    inner join wall
        on drift_dates.as_of <= wall.as_of
)

select * from final
