with flows as (
    select * from {{ ref('segment_flows') }}
),

size_dates as (
    select * from {{ ref('segment_size_dates') }}
),

labels as (
    select * from {{ ref('segment_labels') }}
),

wall as (
    select * from {{ ref('wall') }}
),

walls as (
    select
        size_dates.segmentation,
        size_dates.as_of,
        lag(size_dates.as_of) over (partition by size_dates.segmentation order by size_dates.as_of) as last_as_of
    from size_dates
    inner join wall
        on size_dates.as_of <= wall.as_of
    group by size_dates.segmentation, size_dates.as_of
),

segments as (
    select * from size_dates
    where not is_unassigned
),

-- Every segment at a wall or at the one before it.
present as (
    select
        walls.segmentation,
        walls.as_of,
        walls.last_as_of,
        segments.segment_id,
        max(case when segments.as_of = walls.as_of then segments.users end) as users,
        max(case when segments.as_of = walls.last_as_of then segments.users end) as users_before
    from walls
    inner join segments
        on
            walls.segmentation = segments.segmentation
            and (walls.as_of = segments.as_of or walls.last_as_of = segments.as_of)
    group by walls.segmentation, walls.as_of, walls.last_as_of, segments.segment_id
),

-- Shares are of users who are there at both walls, unassigned ones included.
shared as (
    select
        segmentation,
        to_as_of as as_of,
        from_segment_id,
        to_segment_id,
        users,
        sum(users) over (partition by segmentation, to_as_of, from_segment_id) as from_users,
        sum(users) over (partition by segmentation, to_as_of, to_segment_id) as to_users
    from flows
    where from_segment_id <> '(new)' and to_segment_id <> '(gone)'
),

links as (
    select
        shared.*,
        shared.users >= {{ lineage_share() }} * shared.from_users as is_large_for_parent,
        shared.users >= {{ lineage_share() }} * shared.to_users as is_large_for_child,
        parent.users is null as parent_is_gone,
        child.users_before is null as child_is_new
    from shared
    inner join present as parent
        on
            shared.segmentation = parent.segmentation
            and shared.as_of = parent.as_of
            and shared.from_segment_id = parent.segment_id
            and parent.users_before is not null
    inner join present as child
        on
            shared.segmentation = child.segmentation
            and shared.as_of = child.as_of
            and shared.to_segment_id = child.segment_id
            and child.users is not null
),

split_parents as (
    select
        segmentation,
        as_of,
        from_segment_id
    from links
    where is_large_for_parent
    group by segmentation, as_of, from_segment_id
    having count(*) >= 2 and count(*) filter (where child_is_new) >= 1
),

judged_links as (
    select
        links.*,
        split_parents.from_segment_id is not null
        and links.is_large_for_parent
        and (links.child_is_new or links.from_segment_id = links.to_segment_id) as is_split
    from links
    left join split_parents
        on
            links.segmentation = split_parents.segmentation
            and links.as_of = split_parents.as_of
            and links.from_segment_id = split_parents.from_segment_id
),

children as (
    select
        segmentation,
        as_of,
        to_segment_id as segment_id,
        {{ ordered_text('from_segment_id', 'from_segment_id') }} as parents,
        count(*) filter (where is_large_for_child) >= 2
        and count(*) filter (where is_large_for_child and parent_is_gone) >= 1 as is_merged,
        count(*) filter (where is_split) >= 1 as is_split
    from judged_links
    where is_large_for_child or is_split
    group by segmentation, as_of, to_segment_id
),

same_id as (
    select
        segmentation,
        as_of,
        to_segment_id as segment_id,
        users / cast(from_users + to_users - users as double) as overlap
    from links
    where from_segment_id = to_segment_id
),

final as (
    select
        cast(present.segmentation as string) as segmentation,
        cast(present.as_of as timestamp) as as_of,
        cast(present.segment_id as string) as segment_id,
        cast(coalesce(labels.name, present.segment_id) as string) as segment_name,
        cast(
            case
                when present.users is null then 'died'
                when children.is_merged then 'merged'
                when children.is_split then 'split'
                when present.users_before is not null then 'survived'
                else 'born'
            end as string
        ) as event,
        cast(present.last_as_of as timestamp) as last_as_of,
        cast(children.parents as string) as parents,
        cast(
            case
                when present.users is not null and present.users_before is not null
                    then round(coalesce(same_id.overlap, 0), 6)
            end as double
        ) as overlap,
        cast(coalesce(present.users, 0) as bigint) as users,
        cast(coalesce(present.users_before, 0) as bigint) as users_before
    from present
    left join children
        on
            present.segmentation = children.segmentation
            and present.as_of = children.as_of
            and present.segment_id = children.segment_id
    left join same_id
        on
            present.segmentation = same_id.segmentation
            and present.as_of = same_id.as_of
            and present.segment_id = same_id.segment_id
    left join labels
        on present.segment_id = labels.segment_id
)

select * from final
