{# Why a row cannot be an event whatever else was logged, the first reason that applies, or null. #}
{% macro invalid_event_reason(rows, event_types) -%}
    case
        when {{ rows }}.user_id is null then 'missing_user_id'
        when {{ rows }}.item_id is null then 'missing_item_id'
        when {{ rows }}.event_at is null then 'missing_time'
        when
            cast({{ rows }}.event_at as date) < date '{{ var("earliest_event_on") }}'
            or cast({{ rows }}.event_at as date) > current_date + 1
            then 'impossible_time'
        when {{ event_types }}.canonical_type is null then 'unknown_event_type'
        when {{ rows }}.quantity <= 0 and {{ event_types }}.canonical_type <> 'return' then 'non_positive_quantity'
    end
{%- endmacro %}
