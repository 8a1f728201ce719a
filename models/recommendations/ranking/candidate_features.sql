{{ config(materialized='view') }}

-- Who asks for one wall pays for one: the other half falls away.
with build as (
    {{ candidate_features_at(0) }}
),

earlier as (
    {{ candidate_features_at(1) }}
),

final as (
    select * from build
    union all
    select * from earlier
)

select * from final
