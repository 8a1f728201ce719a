with sizes as (
    select * from {{ ref('segment_sizes') }}
),

category_stats as (
    select * from {{ ref('segment_category_stats') }}
),

feature_stats as (
    select * from {{ ref('segment_feature_stats') }}
),

name_words as (
    select * from {{ ref('name_words') }}
    where kind = 'label' and word is not null
),

spelled as (
    select
        *,
        trim({{ replace_matches("replace(lower(category), ' and ', ' & ')", '[^a-z0-9&]+', ' ') }}) as spelling
    from category_stats
),

ranked_categories as (
    select
        spelled.segment_id,
        coalesce(name_words.word, {{ sentence_case('spelled.category') }})
        || ' (' || round(spelled.lift, 1) || ' x)' as label,
        row_number() over (
            partition by spelled.segment_id
            order by spelled.distinctiveness desc, spelled.category asc
        ) as position
    from spelled
    left join name_words
        on spelled.spelling = name_words.abbreviation
    where spelled.distinctiveness > 0 and spelled.lift >= 1.1
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
    -- Hours and weekdays are in the profile; in a sentence they would say little.
    where abs(standardised_difference) >= 0.2 and feature not like '%_share'
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
                coalesce(
                    'Takes more than its share of ' || categories.distinguishing_categories,
                    'Takes nothing much more than others do'
                )
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
