-- A view, because a run ends after its last table: so it tells of the warehouse as it is when it is read or published.
with runs as (
    select * from {{ source('builds', 'runs') }}
),

newest as (
    select *
    from runs
    where number = (select max(number) from runs)
),

final as (
    select
        made.run_id,
        made.as_of,
        made.git_revision,
        made.language,
        made.manyfaces_version,
        coalesce(made.ended_at, made.started_at) as built_at,
        case when newest.ended_at is null then 'incomplete' else newest.state end as state
    from newest
    inner join runs as made on made.number = coalesce(newest.build_number, newest.number)
)

select * from final
