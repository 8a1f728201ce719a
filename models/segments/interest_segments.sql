{%- set figures = {
    'percent': 'cast(round(100 * distinctly_coded.share) as integer)',
    'lift': 'round(distinctly_coded.lift, 1)',
    'interest': 'distinctly_coded.interest',
} %}

with segmentation_users as (
    select * from {{ ref('segmentation_users') }}
    where {{ is_made_by('top_interest') }}
),

category_affinity as (
    select * from {{ ref('user_category_affinity') }}
),

name_words as (
    select * from {{ ref('name_words') }}
    where kind = 'label' and word is not null
),

settings as (
    {% for segmentation in declared_segmentations('top_interest') %}
        select
            '{{ segmentation.name }}' as segmentation,
            '{{ segmentation.by or "share" }}' as measure,
            {{ segmentation.min_events or (5 if segmentation.by == 'lift' else 1) }} as min_events,
            {{ segmentation.min_share or 0 }} as min_share
        union all
    {% endfor %}
    select
        cast(null as string) as segmentation,
        cast(null as string) as measure,
        0 as min_events,
        0 as min_share
    where false
),

interests as (
    select
        segmentation_users.segmentation,
        category_affinity.user_key,
        category_affinity.category,
        category_affinity.share,
        category_affinity.decayed_events,
        category_affinity.positive_events
    from segmentation_users
    inner join category_affinity
        on segmentation_users.user_key = category_affinity.user_key
),

-- What a user's share is compared with: the mean share in the same population. The shares of a user add up to 1.
category_sums as (
    select
        segmentation,
        category,
        {{ stable_sum('share') }} as shares
    from interests
    group by segmentation, category
),

category_shares as (
    select
        segmentation,
        category,
        round(shares / nullif(round(sum(shares) over (partition by segmentation), 6), 0), 6) as mean_share
    from category_sums
),

measured as (
    select
        interests.segmentation,
        interests.user_key,
        interests.category,
        interests.share,
        (
            -case
                when settings.measure = 'share' then coalesce(interests.share, 0)
                else coalesce(round(interests.share / nullif(category_shares.mean_share, 0), 6), 0)
            end,
            -interests.decayed_events,
            interests.category
        ) as position
    from interests
    inner join settings
        on interests.segmentation = settings.segmentation
    inner join category_shares
        on
            interests.segmentation = category_shares.segmentation
            and interests.category = category_shares.category
    where interests.positive_events >= settings.min_events
),

-- Of equals the category with more events, then the first by name.
strongest as (
    select
        segmentation,
        user_key,
        min_by(category, position) as category,
        min_by(share, position) as share
    from measured
    group by segmentation, user_key
),

labelled as (
    select
        strongest.segmentation,
        strongest.user_key,
        strongest.share,
        strongest.share / nullif(category_shares.mean_share, 0) as lift,
        settings.min_share,
        coalesce(name_words.word, {{ sentence_case('strongest.category') }}) as interest
    from strongest
    inner join settings
        on strongest.segmentation = settings.segmentation
    inner join category_shares
        on
            strongest.segmentation = category_shares.segmentation
            and strongest.category = category_shares.category
    left join name_words
        on {{ spelling('strongest.category') }} = name_words.abbreviation
),

counted as (
    select
        *,
        count(*) over (partition by segmentation, interest) as interest_users,
        count(*) over (partition by segmentation) as all_users
    from labelled
),

-- Ids are made of the plain name, so that they are the same in every language.
named as (
    select
        *,
        interest_users < min_share * all_users as is_of_few,
        case when is_of_few then 'Other interests' else interest end as plain_name,
        case when is_of_few then {{ phrase('name_other_interests') }} else interest end as segment_name
    from counted
),

coded as (
    select
        *,
        {{ plain_code('plain_name') }} as plain_code
    from named
),

distinctly_coded as (
    select
        *,
        {{ distinct_code('plain_code', 'plain_name') }} as segment_code
    from coded
),

final as (
    select
        segmentation_users.segmentation,
        segmentation_users.user_key,
        coalesce(distinctly_coded.segment_code, 'unassigned') as segment_code,
        distinctly_coded.segment_name,
        coalesce(
            case
                when distinctly_coded.is_of_few then {{ phrase('reason_interest_of_few', figures) }}
                else {{ phrase('reason_interest', figures) }}
            end,
            {{ phrase('reason_no_interest') }}
        ) as reason
    from segmentation_users
    left join distinctly_coded
        on
            segmentation_users.segmentation = distinctly_coded.segmentation
            and segmentation_users.user_key = distinctly_coded.user_key
)

select * from final
