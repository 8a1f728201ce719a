-- The overview adds up to the lists, source by source. Fails for each that differs.
with lists as (
    select * from {{ ref('user_lists') }}
),

expected as (
    select
        list,
        source,
        count(*) as rows,
        count(*) filter (where rank = 1) as first_rows,
        count(*) filter (where is_repeat) as repeat_rows
    from lists
    group by list, source
),

found as (
    select
        list,
        source,
        sum(rows) as rows,
        sum(first_rows) as first_rows,
        sum(repeat_rows) as repeat_rows
    from {{ ref('recommendation_overview') }}
    group by list, source
),

final as (
    select
        coalesce(expected.list, found.list) as list,
        coalesce(expected.source, found.source) as source
    from expected
    full outer join found
        on
            expected.list = found.list
            and expected.source = found.source
    where
        coalesce(expected.rows, 0) <> coalesce(found.rows, 0)
        or coalesce(expected.first_rows, 0) <> coalesce(found.first_rows, 0)
        or coalesce(expected.repeat_rows, 0) <> coalesce(found.repeat_rows, 0)
)

select * from final
