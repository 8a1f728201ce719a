{%- set columns = population_columns() | rejectattr('type', 'equalto', 'timestamp') | list %}

{%- set feature = "replace(measured.feature, '_', ' ')" %}
{%- set value = 'coalesce(measured.label, ' ~ number_text('measured.value') ~ ')' %}

with segmentation_users as (
    select * from {{ ref('segmentation_users') }}
    where {{ is_made_by('rules') }}
),

user_attributes as (
    select * from {{ ref('user_attributes') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

conditions as (
    select * from {{ ref('segment_rules') }}
    where {{ is_made_by('rules') }}
),

used_features as (
    select distinct
        segmentation,
        feature,
        measure
    from conditions
    where feature is not null
),

-- One row per user and feature that a rule looks at: numbers as value, texts as label.
long as (
    select
        segmentation_users.segmentation,
        segmentation_users.user_key,
        used_features.feature,
        used_features.measure,
        case used_features.feature
            {% for column in columns if column.type not in ('string', 'boolean') %}
                when '{{ column.name }}' then cast({{ column.relation }}.{{ column.name }} as double)
            {% endfor %}
        end as value,
        case used_features.feature
            {% for column in columns if column.type in ('string', 'boolean') %}
                when '{{ column.name }}' then cast({{ column.relation }}.{{ column.name }} as string)
            {% endfor %}
        end as label
    from segmentation_users
    inner join used_features
        on segmentation_users.segmentation = used_features.segmentation
    inner join user_attributes
        on segmentation_users.user_key = user_attributes.user_key
    left join user_features
        on segmentation_users.user_key = user_features.user_key
),

measured as (
    select
        *,
        value as measured
    from long
    where measure = 'value'
    union all
    select
        *,
        round(cume_dist() over (partition by segmentation, feature order by value), 6) as measured
    from long
    where measure = 'percentile' and value is not null
),

held as (
    select
        measured.segmentation,
        measured.user_key,
        conditions.priority,
        conditions.segment_code,
        conditions.feature || ' ' || conditions.measure as condition_key,
        case
            when conditions.measure = 'percentile' then {{ phrase('condition_percentile', {
                'percentile': number_text('measured.measured'), 'feature': feature, 'value': value
            }) }}
            else {{ phrase('condition', {'feature': feature, 'value': value}) }}
        end as condition,
        case
            when conditions.at_least is null and conditions.below is null then null
            when conditions.below is null
                then {{ phrase('bounds_at_least', {'low': number_text('conditions.at_least')}) }}
            when conditions.at_least is null
                then {{ phrase('bounds_below', {'high': number_text('conditions.below')}) }}
            else {{ phrase('bounds_both', {
                'low': number_text('conditions.at_least'), 'high': number_text('conditions.below')
            }) }}
        end as bounds
    from measured
    inner join conditions
        on
            measured.segmentation = conditions.segmentation
            and measured.feature = conditions.feature
            and measured.measure = conditions.measure
    where
        (conditions.at_least is null or measured.measured >= conditions.at_least)
        and (conditions.below is null or measured.measured < conditions.below)
        and (
            conditions.equals is null
            or measured.label = conditions.equals
            or measured.measured = try_cast(conditions.equals as double)
        )
    union all
    -- A line without a feature holds for everyone.
    select
        segmentation_users.segmentation,
        segmentation_users.user_key,
        conditions.priority,
        conditions.segment_code,
        '' as condition_key,
        {{ phrase('condition_everyone') }} as condition,
        cast(null as string) as bounds
    from segmentation_users
    inner join conditions
        on segmentation_users.segmentation = conditions.segmentation
    where conditions.feature is null
),

bounded as (
    select
        segmentation,
        user_key,
        priority,
        segment_code,
        condition_key,
        coalesce({{ phrase('condition_bounds', {'bounds': 'bounds', 'condition': 'condition'}) }}, condition)
            as condition
    from held
),

rules as (
    select
        segmentation,
        priority,
        segment_code,
        max({{ seed_name('segment_name') }}) as segment_name,
        count(*) as conditions
    from conditions
    group by segmentation, priority, segment_code
),

matched as (
    select
        segmentation,
        user_key,
        priority,
        segment_code,
        count(*) as conditions,
        {{ ordered_text('condition', 'condition_key', '; ') }} as conditions_met
    from bounded
    group by segmentation, user_key, priority, segment_code
),

ranked as (
    select
        matched.segmentation,
        matched.user_key,
        rules.segment_code,
        rules.segment_name,
        {{ phrase('reason_rule', {'conditions': 'matched.conditions_met', 'name': 'rules.segment_name'}) }} as reason,
        row_number() over (
            partition by matched.segmentation, matched.user_key
            order by matched.priority asc, matched.segment_code asc
        ) as position
    from matched
    inner join rules
        on
            matched.segmentation = rules.segmentation
            and matched.priority = rules.priority
            and matched.segment_code = rules.segment_code
            and matched.conditions = rules.conditions
),

final as (
    select
        segmentation_users.segmentation,
        segmentation_users.user_key,
        coalesce(ranked.segment_code, 'unassigned') as segment_code,
        ranked.segment_name,
        coalesce(ranked.reason, {{ phrase('reason_no_rule') }}) as reason
    from segmentation_users
    left join ranked
        on
            segmentation_users.segmentation = ranked.segmentation
            and segmentation_users.user_key = ranked.user_key
            and ranked.position = 1
)

select * from final
