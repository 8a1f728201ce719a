with size_dates as (
    select * from {{ ref('segment_size_dates') }}
),

plans as (
    select * from {{ ref('learning_plan') }}
),

walls as (
    select
        segmentation,
        as_of,
        max(all_users) as users,
        lag(as_of) over (partition by segmentation order by as_of) as last_as_of
    from size_dates
    group by segmentation, as_of
),

-- The walls that each is compared with: the last one, and the one whose models it uses.
comparisons as (
    select
        segmentation,
        as_of,
        users,
        'last' as reference,
        last_as_of as reference_as_of
    from walls
    union all
    select
        walls.segmentation,
        walls.as_of,
        walls.users,
        'fitted' as reference,
        plans.fitted_as_of as reference_as_of
    from walls
    inner join plans
        on walls.as_of = plans.as_of
),

compared as (
    select
        comparisons.*,
        walls.users as reference_users
    from comparisons
    inner join walls
        on
            comparisons.segmentation = walls.segmentation
            and comparisons.reference_as_of = walls.as_of
),

-- Every segment of either wall.
counted as (
    select
        compared.segmentation,
        compared.as_of,
        compared.reference,
        compared.users as all_users,
        compared.reference_users as all_reference_users,
        size_dates.segment_id,
        coalesce(max(case when size_dates.as_of = compared.as_of then size_dates.users end), 0) as users,
        coalesce(max(case when size_dates.as_of = compared.reference_as_of then size_dates.users end), 0)
            as reference_users
    from compared
    inner join size_dates
        on
            compared.segmentation = size_dates.segmentation
            and (compared.as_of = size_dates.as_of or compared.reference_as_of = size_dates.as_of)
    group by
        compared.segmentation, compared.as_of, compared.reference, compared.users, compared.reference_users,
        size_dates.segment_id
),

numbered as (
    select
        *,
        count(*) over (partition by segmentation, as_of, reference) as segments
    from counted
),

final as (
    select
        segmentation,
        as_of,
        reference,
        segment_id,
        users,
        reference_users,
        round(reference_users / cast(all_reference_users as double), 6) as reference_share,
        {{ stability_part('users', 'all_users', 'reference_users', 'all_reference_users', 'segments') }} as psi,
        round({{ stability_by_chance('all_users', 'all_reference_users', 'segments') }}, 6) as psi_by_chance
    from numbered
)

select * from final
