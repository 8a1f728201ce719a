with sizes as (
    select * from {{ ref('segment_sizes') }}
),

category_stats as (
    select * from {{ ref('segment_category_stats') }}
),

feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

ranked_categories as (
    select
        segment_id,
        {{ sentence_case('category') }} || ' (' || round(lift, 1) || ' x)' as label,
        row_number() over (partition by segment_id order by distinctiveness desc, category asc) as position
    from category_stats
    where distinctiveness > 0 and lift >= 1.1
),

categories as (
    select
        segment_id,
        {{ ordered_text('label', 'position') }} as distinguishing_categories
    from ranked_categories
    where position <= 3
    group by segment_id
),

ranked_features as (
    select
        segment_id,
        replace(feature, '_', ' ') || ' ' || case when standardised_difference > 0 then '+' else '' end
        || round(standardised_difference, 1) as label,
        row_number() over (partition by segment_id order by abs(standardised_difference) desc, feature) as position
    from feature_stats
    where abs(standardised_difference) >= 0.2
),

features as (
    select
        segment_id,
        {{ ordered_text('label', 'position') }} as distinguishing_features
    from ranked_features
    where position <= 3
    group by segment_id
),

final as (
    select
        sizes.segment_id,
        categories.distinguishing_categories,
        features.distinguishing_features,
        case
            when sizes.is_unassigned then 'Users that fit no segment; they get no segment list.'
            else
                'Takes more than its share of '
                || coalesce(categories.distinguishing_categories, 'nothing in particular')
                || coalesce('. Beside all users, in standard deviations: ' || features.distinguishing_features, '')
                || '.'
        end as description
    from sizes
    left join categories
        on sizes.segment_id = categories.segment_id
    left join features
        on sizes.segment_id = features.segment_id
)

select * from final
