{%- set active = {
    'days': 'round(active_days, 1)',
    'window': 'window_days',
    'ratio': ratio_text('active_days', 'overall_active_days'),
} %}
{%- set spent = {'spent': ratio_text('amount', 'overall_amount')} %}
{%- set day = {
    'events': counted_text('cast(round(basket_items) as integer)', 'event'),
    'ratio': ratio_text('basket_items', 'overall_basket_items'),
} %}
{%- set worth = {
    'amount': 'round(basket_amount, 2)', 'amount_ratio': ratio_text('basket_amount', 'overall_basket_amount')
} %}
{%- set weekends = {'share': percent_text('weekend_share'), 'usual': percent_text('overall_weekend_share')} %}
{%- set hours_figures = {
    'share': percent_text('hours_share'), 'usual': percent_text('overall_hours_share'), 'hours': 'hours'
} %}

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
        {{ phrase('category_lift', {'lift': 'round(category_stats.lift, 1)', 'label': 'category_labels.label'}) }}
            as label_with_lift,
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
        {{ ordered_text('label_with_lift', 'position') }} as distinguishing_categories,
        {% for place in ['first', 'second', 'third'] %}
            max(case when position = {{ loop.index }} then label end) as {{ place }}_label,
            max(case when position = {{ loop.index }} then lift end) as {{ place }}_lift,
        {% endfor %}
        count(*) as favourites
    from ranked_categories
    where position <= 3
    group by segment_id
),

favourites as (
    select
        segment_id,
        distinguishing_categories,
        case favourites
            when 1 then {{ phrase('favourites_one', {'first_lift': 'first_lift', 'first': 'first_label'}) }}
            when 2 then {{ phrase('favourites_two', {
                'first_lift': 'first_lift', 'second_lift': 'second_lift', 'first': 'first_label', 'second': 'second_label'
            }) }}
            else {{ phrase('favourites_three', {
                'first_lift': 'first_lift', 'second_lift': 'second_lift', 'third_lift': 'third_lift',
                'first': 'first_label', 'second': 'second_label', 'third': 'third_label'
            }) }}
        end as favourites
    from categories
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

-- Only what stands out is said.
habits as (
    select
        segment_id,
        coalesce(
            {{ phrase('habits_active_spent', dict(active, **spent)) }}, {{ phrase('habits_active', active) }}
        ) as active_text,
        coalesce({{ phrase('habits_day_worth', dict(day, **worth)) }}, {{ phrase('habits_day', day) }}) as day_text,
        case
            when recency_days <= 1 then {{ phrase('habits_last_day') }}
            else {{ phrase('habits_last_days', {'days': 'recency_days'}) }}
        end as recency_text,
        case
            when weekend_share - overall_weekend_share >= 0.03 then {{ phrase('habits_weekends_more', weekends) }}
            when overall_weekend_share - weekend_share >= 0.03 then {{ phrase('habits_weekends_less', weekends) }}
        end as weekends_text,
        case
            when hours_share - overall_hours_share >= 0.03 then {{ phrase('habits_hours', hours_figures) }}
        end as hours_text
    from behaviour
),

-- Sentence by sentence; one that is not said is null.
activity as (
    select
        segment_id,
        {{ phrase('sentences', {
            'first': phrase('sentences', {'first': 'active_text', 'second': 'day_text'}), 'second': 'recency_text'
        }) }} as activity_text,
        weekends_text,
        hours_text
    from habits
),

told as (
    select
        sizes.segment_id,
        favourites.distinguishing_categories,
        coalesce(
            {{ phrase('description_favour', {'favourites': 'favourites.favourites'}) }},
            {{ phrase('description_no_favourites') }}
        ) as favour_text,
        coalesce(activity.activity_text, {{ phrase('description_no_habits') }}) as activity_text,
        activity.weekends_text,
        activity.hours_text
    from sizes
    left join favourites
        on sizes.segment_id = favourites.segment_id
    left join activity
        on sizes.segment_id = activity.segment_id
),

told_weekends as (
    select
        * replace (
            coalesce({{ phrase('sentences', {'first': 'activity_text', 'second': 'weekends_text'}) }}, activity_text)
                as activity_text
        )
    from told
),

told_hours as (
    select
        * replace (
            coalesce({{ phrase('sentences', {'first': 'activity_text', 'second': 'hours_text'}) }}, activity_text)
                as activity_text
        )
    from told_weekends
),

texts_of_segments as (
    select
        sizes.segment_id,
        sizes.users,
        sizes.share,
        told_hours.distinguishing_categories,
        case
            when sizes.is_unassigned then {{ phrase('description_unassigned') }}
            when sizes.users < {{ var('min_users_per_cell') }} then {{ phrase('description_too_few') }}
            when texts.description is not null then texts.description
            else {{ phrase('description_text', {
                'habits': 'told_hours.activity_text', 'favour': 'told_hours.favour_text'
            }) }}
        end as text
    from sizes
    inner join told_hours
        on sizes.segment_id = told_hours.segment_id
    left join texts
        on sizes.segment_id = texts.segment_id
),

final as (
    select
        texts_of_segments.segment_id,
        texts_of_segments.distinguishing_categories,
        features.distinguishing_features,
        {{ phrase('description', {
            'users': counted_text('texts_of_segments.users', 'user'),
            'percent': percent_text('texts_of_segments.share'),
            'text': 'texts_of_segments.text',
        }) }} as description
    from texts_of_segments
    left join features
        on texts_of_segments.segment_id = features.segment_id
)

select * from final
