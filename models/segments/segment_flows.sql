{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['segmentation', 'from_as_of', 'to_as_of'],
        on_schema_change='fail',
        post_hook="delete from {{ this }} where (segmentation, from_as_of, to_as_of) not in
            ({{ consecutive_walls(ref('segment_size_dates')) }})"
    )
}}

with segment_dates as (
    select * from {{ ref('segment_dates') }}
),

sizes as (
    select * from {{ ref('segment_size_dates') }}
),

wall as (
    select * from {{ ref('wall') }}
),

walls as (
    select
        segmentation,
        as_of,
        max(all_users) as users
    from sizes
    group by segmentation, as_of
),

pairs as (
    select
        segmentation,
        as_of as to_as_of,
        users as to_users,
        lag(as_of) over (partition by segmentation order by as_of) as from_as_of,
        lag(users) over (partition by segmentation order by as_of) as from_users
    from walls
),

stored as (
    {% if is_incremental() %}
        select
            segmentation,
            from_as_of,
            to_as_of,
            sum(case when from_segment_id <> '(new)' then users else 0 end) as from_users,
            sum(case when to_segment_id <> '(gone)' then users else 0 end) as to_users
        from {{ this }}
        group by segmentation, from_as_of, to_as_of
    {% else %}
        select
            segmentation,
            from_as_of,
            to_as_of,
            from_users,
            to_users
        from pairs
        where false
    {% endif %}
),

-- Pairs that are not there yet, that this build touches, or that have lost an erased user.
due as (
    select
        pairs.segmentation,
        pairs.from_as_of,
        pairs.to_as_of
    from pairs
    cross join wall
    left join stored
        on
            pairs.segmentation = stored.segmentation
            and pairs.from_as_of = stored.from_as_of
            and pairs.to_as_of = stored.to_as_of
    where
        pairs.from_as_of is not null
        and (
            wall.as_of between pairs.from_as_of and pairs.to_as_of
            or stored.from_users is null
            or stored.from_users <> pairs.from_users
            or stored.to_users <> pairs.to_users
        )
),

before as (
    select
        due.*,
        segment_dates.user_key,
        segment_dates.segment_id
    from due
    inner join segment_dates
        on
            due.segmentation = segment_dates.segmentation
            and due.from_as_of = segment_dates.as_of
),

after as (
    select
        due.*,
        segment_dates.user_key,
        segment_dates.segment_id
    from due
    inner join segment_dates
        on
            due.segmentation = segment_dates.segmentation
            and due.to_as_of = segment_dates.as_of
),

moved as (
    select
        coalesce(before.segmentation, after.segmentation) as segmentation,
        coalesce(before.from_as_of, after.from_as_of) as from_as_of,
        coalesce(before.to_as_of, after.to_as_of) as to_as_of,
        coalesce(before.segment_id, '(new)') as from_segment_id,
        coalesce(after.segment_id, '(gone)') as to_segment_id
    from before
    full outer join after
        on
            before.segmentation = after.segmentation
            and before.to_as_of = after.to_as_of
            and before.user_key = after.user_key
),

final as (
    select
        segmentation,
        from_as_of,
        to_as_of,
        from_segment_id,
        to_segment_id,
        count(*) as users
    from moved
    group by segmentation, from_as_of, to_as_of, from_segment_id, to_segment_id
)

select * from final
