{# What DuckDB and Spark write differently, and nothing else. default__ is DuckDB. #}

{% macro epoch_seconds(timestamp_expression) -%}
    {{ return(adapter.dispatch('epoch_seconds', 'manyfaces')(timestamp_expression)) }}
{%- endmacro %}
{% macro default__epoch_seconds(timestamp_expression) -%}
    epoch({{ timestamp_expression }})
{%- endmacro %}
{% macro spark__epoch_seconds(timestamp_expression) -%}
    unix_timestamp({{ timestamp_expression }})
{%- endmacro %}

{# Replaces every match, on both engines. #}
{% macro replace_matches(expression, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_matches', 'manyfaces')(expression, pattern, replacement)) }}
{%- endmacro %}
{% macro default__replace_matches(expression, pattern, replacement) -%}
    regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
{% macro spark__replace_matches(expression, pattern, replacement) -%}
    regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}

{# The n values with the highest order key, highest first, as an array: a bounded heap, never a sort of everything. #}
{% macro top_values(value, order_key, n) -%}
    {{ return(adapter.dispatch('top_values', 'manyfaces')(value, order_key, n)) }}
{%- endmacro %}
{% macro default__top_values(value, order_key, n) -%}
    max_by({{ value }}, {{ order_key }}, {{ n }})
{%- endmacro %}
{% macro spark__top_values(value, order_key, n) -%}
    transform(
        slice(reverse(array_sort(array_agg(struct({{ order_key }} as order_key, {{ value }} as value)))), 1, {{ n }}),
        entry -> entry.value
    )
{%- endmacro %}

{# Sunday is 0 in DuckDB and 1 in Spark; here Monday is 1 and Sunday 7, as in ISO 8601. #}
{% macro iso_weekday(timestamp_expression) -%}
    {{ return(adapter.dispatch('iso_weekday', 'manyfaces')(timestamp_expression)) }}
{%- endmacro %}
{% macro default__iso_weekday(timestamp_expression) -%}
    isodow({{ timestamp_expression }})
{%- endmacro %}
{% macro spark__iso_weekday(timestamp_expression) -%}
    (weekday({{ timestamp_expression }}) + 1)
{%- endmacro %}
