with sizes as (
    select * from {{ ref('segment_sizes') }}
),

category_stats as (
    select * from {{ ref('segment_category_stats') }}
),

category_labels as (
    select * from {{ ref('category_labels') }}
),

feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

feature_labels as (
    select * from {{ ref('feature_labels') }}
),

texts as (
    select * from {{ ref('segment_texts') }}
),

behaviour as (
    select * from {{ ref('segment_behaviour') }}
),

ranked_categories as (
    select
        category_stats.segment_id,
        category_labels.label,
        round(category_stats.lift, 1) as lift,
        row_number() over (
            partition by category_stats.segment_id
            order by category_stats.distinctiveness desc, category_stats.category asc
        ) as position
    from category_stats
    inner join category_labels
        on category_stats.category = category_labels.category
    where
        category_stats.distinctiveness > 0
        and category_stats.lift >= 1.1
        and category_stats.users >= {{ var('min_users_per_cell') }}
),

categories as (
    select
        segment_id,
        {{ ordered_text("label || ' (' || lift || ' x)'", 'position') }} as distinguishing_categories,
        max(case when position = 1 then label || ' (' || lift || ' times the usual share)' end)
        || coalesce(
            max(case when position = 2 then ', ' || label || ' (' || lift || ' times)' end)
            || max(case when position = 3 then ' and ' || label || ' (' || lift || ' times)' end),
            max(case when position = 2 then ' and ' || label || ' (' || lift || ' times)' end),
            ''
        ) as favourites
    from ranked_categories
    where position <= 3
    group by segment_id
),

ranked_features as (
    select
        feature_stats.segment_id,
        feature_labels.label || ' ' || case when feature_stats.standardised_difference > 0 then '+' else '' end
        || round(feature_stats.standardised_difference, 1) as label,
        row_number() over (
            partition by feature_stats.segment_id
            order by feature_stats.difference_rank
        ) as position
    from feature_stats
    inner join feature_labels
        on feature_stats.feature = feature_labels.feature
    -- Hours and weekdays are in the profile; in a list of three they would say little.
    where abs(feature_stats.standardised_difference) >= 0.2 and feature_labels.unit <> 'share'
),

features as (
    select
        segment_id,
        {{ ordered_text('label', 'position') }} as distinguishing_features
    from ranked_features
    where position <= 3
    group by segment_id
),

habits as (
    select
        segment_id,
        'They were active on ' || round(active_days, 1) || ' of the last ' || window_days || ' days ('
        || {{ ratio_text('active_days', 'overall_active_days') }} || ')'
        || coalesce(' and spent ' || {{ ratio_text('amount', 'overall_amount') }}, '')
        || '. An active day has ' || {{ counted_text('cast(round(basket_items) as integer)', 'event') }} || ' ('
        || {{ ratio_text('basket_items', 'overall_basket_items') }} || ')'
        || coalesce(
            ' worth ' || round(basket_amount, 2) || ' ('
            || {{ ratio_text('basket_amount', 'overall_basket_amount') }} || ')',
            ''
        )
        || '. At least half of them were active in the last '
        || case when recency_days <= 1 then 'day' else recency_days || ' days' end || '.' as activity,
        -- Only what stands out is said.
        case
            when abs(weekend_share - overall_weekend_share) >= 0.03
                then
                    ' They come ' || case when weekend_share > overall_weekend_share then 'more' else 'less' end
                    || ' than others on weekends (' || {{ percent_text('weekend_share') }}
                    || ' of their events, usual is ' || {{ percent_text('overall_weekend_share') }} || ').'
        end as weekends,
        case
            when hours_share - overall_hours_share >= 0.03
                then
                    ' They come more than others ' || hours || ' (' || {{ percent_text('hours_share') }}
                    || ' of their events, usual is ' || {{ percent_text('overall_hours_share') }} || ').'
        end as hours
    from behaviour
),

final as (
    select
        sizes.segment_id,
        categories.distinguishing_categories,
        features.distinguishing_features,
        {{ counted_text('sizes.users', 'user') }} || ', ' || {{ percent_text('sizes.share') }} || ' of all. '
        || case
            when sizes.is_unassigned then 'They fit no segment, and get no segment list.'
            when sizes.users < {{ var('min_users_per_cell') }} then 'Too few to say more.'
            when texts.description is not null then texts.description
            else
                coalesce('They favour ' || categories.favourites, 'They favour nothing above others') || '. '
                || coalesce(habits.activity, 'Nothing is known of what they do.')
                || coalesce(habits.weekends, '')
                || coalesce(habits.hours, '')
        end as description
    from sizes
    left join categories
        on sizes.segment_id = categories.segment_id
    left join features
        on sizes.segment_id = features.segment_id
    left join texts
        on sizes.segment_id = texts.segment_id
    left join habits
        on sizes.segment_id = habits.segment_id
)

select * from final
