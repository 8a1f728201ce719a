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
        newest.state,
        made.as_of,
        made.git_revision,
        made.language,
        made.manyfaces_version,
        case when newest.ended_at is not null then made.ended_at end as built_at
    from newest
    inner join runs as made on made.number = coalesce(newest.build_number, newest.number)
)

select * from final
