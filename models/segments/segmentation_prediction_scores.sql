{%- set days = var('prediction_days') %}
{%- set baselines = ['rfm', 'demographic'] %}
{%- set outcomes = ['log_spend', 'active_days', 'is_active'] %}

with segment_dates as (
    select * from {{ ref('segment_dates') }}
),

size_dates as (
    select * from {{ ref('segment_size_dates') }}
),

wall as (
    select * from {{ ref('wall') }}
),

events as (
    select * from {{ ref('events') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

-- The newest wall whose following days are over.
origin as (
    select
        max(size_dates.as_of) as predicted_from,
        max(size_dates.as_of) + interval '{{ days }}' day as predicted_until
    from size_dates
    cross join wall
    where size_dates.as_of + interval '{{ days }}' day <= wall.as_of
),

members as (
    select
        segment_dates.segmentation,
        segment_dates.user_key,
        segment_dates.segment_id
    from segment_dates
    inner join origin
        on segment_dates.as_of = origin.predicted_from
),

-- Each segmentation divides its users by its own segments, and by those of each baseline for comparison.
divided as (
    select
        segmentation,
        segmentation as divided_by,
        user_key,
        segment_id
    from members
    {% for baseline in baselines %}
        union all
        select
            members.segmentation,
            '{{ baseline }}' as divided_by,
            members.user_key,
            coalesce(baseline.segment_id, '(none)') as segment_id
        from members
        left join members as baseline
            on
                members.user_key = baseline.user_key
                and baseline.segmentation = '{{ baseline }}'
        where members.segmentation <> '{{ baseline }}'
    {% endfor %}
),

following_events as (
    select
        events.user_key,
        events.item_id,
        events.event_on,
        events.amount
    from events
    inner join origin
        on
            events.event_at >= origin.predicted_from
            and events.event_at < origin.predicted_until
),

active as (
    select
        user_key,
        {{ stable_sum('amount', 4) }} as amount,
        count(distinct event_on) as active_days
    from following_events
    group by user_key
),

people as (
    select distinct user_key
    from members
),

-- Who does nothing spends nothing.
followed as (
    select
        people.user_key,
        round(coalesce({{ damp('active.amount') }}, 0), 6) as log_spend,
        coalesce(active.active_days, 0) as active_days,
        case when active.user_key is not null then 1 else 0 end as is_active
    from people
    left join active
        on people.user_key = active.user_key
),

segment_sums as (
    select
        divided.segmentation,
        divided.divided_by,
        divided.segment_id,
        count(*) as users,
        {% for outcome in outcomes %}
            {{ stable_sum('followed.' ~ outcome) }} as {{ outcome }},
            {{ stable_sum('round(followed.' ~ outcome ~ ' * followed.' ~ outcome ~ ', 6)') }} as {{ outcome }}_squares,
        {% endfor %}
        count(distinct divided.segment_id) as segments
    from divided
    inner join followed
        on divided.user_key = followed.user_key
    group by divided.segmentation, divided.divided_by, divided.segment_id
),

{% for outcome in outcomes %}
    {{ outcome }}_squares as (
        select
            segmentation,
            divided_by,
            '{{ outcome }}' as outcome,
            sum(users) as users,
            sum(segments) as segments,
            {{ stable_sum(outcome ~ '_squares') }}
            - {{ stable_sum(outcome) }} * {{ stable_sum(outcome) }} / sum(users) as total_squares,
            {{ stable_sum('round(' ~ outcome ~ ' * ' ~ outcome ~ ' / users, 9)', 9) }}
            - {{ stable_sum(outcome) }} * {{ stable_sum(outcome) }} / sum(users) as between_squares
        from segment_sums
        group by segmentation, divided_by
    ),
{% endfor %}

-- The mix of categories: the share of each among a user's events that have one. Who has none has no mix.
category_counts as (
    select
        following_events.user_key,
        item_stats.category,
        count(*) as events
    from following_events
    inner join item_stats
        on following_events.item_id = item_stats.item_id
    where item_stats.category is not null
    group by following_events.user_key, item_stats.category
),

category_shares as (
    select
        user_key,
        category,
        round(events / cast(sum(events) over (partition by user_key) as double), 6) as share
    from category_counts
),

mixes as (
    select
        user_key,
        {{ stable_sum('round(share * share, 6)') }} as squares
    from category_shares
    group by user_key
),

mix_sizes as (
    select
        divided.segmentation,
        divided.divided_by,
        divided.segment_id,
        count(*) as users,
        {{ stable_sum('mixes.squares') }} as squares
    from divided
    inner join mixes
        on divided.user_key = mixes.user_key
    group by divided.segmentation, divided.divided_by, divided.segment_id
),

mix_sums as (
    select
        divided.segmentation,
        divided.divided_by,
        divided.segment_id,
        category_shares.category,
        {{ stable_sum('category_shares.share') }} as share
    from divided
    inner join category_shares
        on divided.user_key = category_shares.user_key
    group by divided.segmentation, divided.divided_by, divided.segment_id, category_shares.category
),

mix_segment_squares as (
    select
        mix_sums.segmentation,
        mix_sums.divided_by,
        {{ stable_sum('round(mix_sums.share * mix_sums.share / mix_sizes.users, 9)', 9) }} as squares
    from mix_sums
    inner join mix_sizes
        on
            mix_sums.segmentation = mix_sizes.segmentation
            and mix_sums.divided_by = mix_sizes.divided_by
            and mix_sums.segment_id = mix_sizes.segment_id
    group by mix_sums.segmentation, mix_sums.divided_by
),

mix_category_sums as (
    select
        segmentation,
        divided_by,
        category,
        {{ stable_sum('share') }} as share
    from mix_sums
    group by segmentation, divided_by, category
),

mix_overall_squares as (
    select
        segmentation,
        divided_by,
        {{ stable_sum('round(share * share, 6)') }} as squares
    from mix_category_sums
    group by segmentation, divided_by
),

mix_totals as (
    select
        segmentation,
        divided_by,
        sum(users) as users,
        count(*) as segments,
        {{ stable_sum('squares') }} as squares
    from mix_sizes
    group by segmentation, divided_by
),

category_mix_squares as (
    select
        mix_totals.segmentation,
        mix_totals.divided_by,
        'category_mix' as outcome,
        mix_totals.users,
        mix_totals.segments,
        mix_totals.squares - mix_overall_squares.squares / mix_totals.users as total_squares,
        mix_segment_squares.squares - mix_overall_squares.squares / mix_totals.users as between_squares
    from mix_totals
    inner join mix_segment_squares
        on
            mix_totals.segmentation = mix_segment_squares.segmentation
            and mix_totals.divided_by = mix_segment_squares.divided_by
    inner join mix_overall_squares
        on
            mix_totals.segmentation = mix_overall_squares.segmentation
            and mix_totals.divided_by = mix_overall_squares.divided_by
),

squares as (
    select * from category_mix_squares
    {% for outcome in outcomes %}
        union all
        select * from {{ outcome }}_squares
    {% endfor %}
),

-- Where nobody differs there is nothing to explain; below a millionth it is rounding.
explained as (
    select
        *,
        case when total_squares > 0.000001 then between_squares / total_squares end as eta_squared
    from squares
),

final as (
    select
        explained.segmentation,
        explained.divided_by,
        explained.outcome,
        origin.predicted_from,
        origin.predicted_until,
        cast(explained.users as bigint) as users,
        cast(explained.segments as bigint) as segments,
        -- Adding 0 makes the 0 of minus a rounding error a plain one.
        round(explained.eta_squared, 6) + 0 as eta_squared,
        round(
            1 - (1 - explained.eta_squared) * (explained.users - 1) / nullif(explained.users - explained.segments, 0), 6
        ) + 0 as epsilon_squared
    from explained
    cross join origin
)

select * from final
