-- What user_lists serves. A choice by segment adds rows with its segment_id.
with lists as (
    select distinct list from {{ ref('source_weights') }}
),

final as (
    select
        list,
        'everyone' as segment_id,
        'blend' as strategy
    from lists
)

select * from final
