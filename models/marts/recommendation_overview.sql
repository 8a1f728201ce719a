{%- set unassigned = var('default_segmentation') ~ '-unassigned' %}

with recommendations as (
    select * from {{ ref('user_recommendations') }}
),

members as (
    select
        user_key,
        segment_id,
        segment_name
    from {{ ref('user_segments') }}
    where segmentation = '{{ var("default_segmentation") }}'
),

placed as (
    select
        recommendations.list,
        recommendations.user_key,
        recommendations.item_id,
        recommendations.rank,
        recommendations.source,
        recommendations.fallback_level,
        recommendations.is_repeat,
        coalesce(members.segment_id, '{{ unassigned }}') as segment_id,
        coalesce(members.segment_name, {{ phrase('name_unassigned') }}) as segment_name
    from recommendations
    left join members
        on recommendations.user_key = members.user_key
),

segment_users as (
    select
        list,
        segment_id,
        count(distinct user_key) as segment_users,
        count(*) as segment_rows
    from placed
    group by list, segment_id
),

counted as (
    select
        list,
        segment_id,
        segment_name,
        source,
        fallback_level,
        count(*) as rows,
        count(*) filter (where rank = 1) as first_rows,
        count(*) filter (where is_repeat) as repeat_rows,
        count(distinct user_key) as users,
        count(distinct item_id) as items,
        sum(rank) / cast(count(*) as double) as mean_rank
    from placed
    group by list, segment_id, segment_name, source, fallback_level
),

final as (
    select
        cast(counted.list as string) as list,
        cast(counted.segment_id as string) as segment_id,
        cast(counted.segment_name as string) as segment_name,
        cast(counted.source as string) as source,
        cast(counted.fallback_level as integer) as fallback_level,
        cast(counted.rows as bigint) as rows,
        cast(round(counted.rows / cast(segment_users.segment_rows as double), 6) as double) as share,
        cast(counted.first_rows as bigint) as first_rows,
        cast(counted.repeat_rows as bigint) as repeat_rows,
        cast(counted.users as bigint) as users,
        cast(segment_users.segment_users as bigint) as segment_users,
        cast(counted.items as bigint) as items,
        cast(round(counted.mean_rank, 4) as double) as mean_rank
    from counted
    inner join segment_users
        on
            counted.list = segment_users.list
            and counted.segment_id = segment_users.segment_id
)

select * from final
