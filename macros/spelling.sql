{# How seeds/name_words.csv spells a label that it renames: lower case, letters, digits and & only. #}
{% macro spelling(expression) -%}
    trim({{ replace_matches("replace(lower(" ~ expression ~ "), ' and ', ' & ')", '[^a-z0-9&]+', ' ') }})
{%- endmacro %}
