with positions as (
    select * from {{ ref('user_positions') }}
),

assignments as (
    select * from {{ ref('segment_assignments') }}
    where not is_unassigned
),

labels as (
    select * from {{ ref('segment_labels') }}
),

members as (
    select
        assignments.segmentation,
        assignments.segment_id,
        positions.x,
        positions.y,
        positions.run_id
    from positions
    inner join assignments
        on positions.user_key = assignments.user_key
),

centres as (
    select
        segmentation,
        segment_id,
        {{ stable_mean('x') }} as x,
        {{ stable_mean('y') }} as y,
        count(*) as users,
        max(run_id) as run_id
    from members
    group by segmentation, segment_id
),

spreads as (
    select
        members.segment_id,
        sqrt({{ stable_mean(
            'round((members.x - centres.x) * (members.x - centres.x)'
            ~ ' + (members.y - centres.y) * (members.y - centres.y), 6)'
        ) }}) as spread
    from members
    inner join centres
        on members.segment_id = centres.segment_id
    group by members.segment_id
),

final as (
    select
        cast(centres.segmentation as string) as segmentation,
        cast(centres.segment_id as string) as segment_id,
        cast(labels.name as string) as name,
        cast(round(centres.x, 6) as double) as x,
        cast(round(centres.y, 6) as double) as y,
        cast(centres.users as bigint) as users,
        cast(round(spreads.spread, 6) as double) as spread,
        cast(centres.run_id as string) as run_id
    from centres
    inner join spreads
        on centres.segment_id = spreads.segment_id
    inner join labels
        on centres.segment_id = labels.segment_id
)

select * from final
