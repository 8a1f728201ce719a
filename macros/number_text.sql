{# A number in a sentence: two decimals at most, and none where it is whole. #}
{% macro number_text(expression) -%}
    {{ replace_matches('cast(round(' ~ expression ~ ', 2) as string)', '[.]0$', '') }}
{%- endmacro %}
