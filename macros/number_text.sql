{# A number in a sentence: two decimals at most, and none where it is whole. #}
{% macro number_text(expression) -%}
    {{ replace_matches('cast(round(' ~ expression ~ ', 2) as string)', '[.]0$', '') }}
{%- endmacro %}

{# A difference in a sentence: with its sign and four decimals at most. #}
{% macro number_with_sign(expression) -%}
    case when round({{ expression }}, 4) > 0 then '+' else '' end || cast(round({{ expression }}, 4) + 0 as string)
{%- endmacro %}
