{#
    A phrase of seeds/phrases.csv in the language of the build. `values` fills its {placeholders} with SQL expressions, in
    their order; put texts that people wrote last. Null where a value is null.
#}
{% macro phrase(name, values={}) -%}
    {%- set filled = namespace(
        text="(select phrases." ~ var('language') ~ " from " ~ ref('phrases') ~ " as phrases where phrases.phrase = '" ~ name ~ "')"
    ) -%}
    {%- for placeholder, expression in values.items() -%}
        {%- set filled.text = "replace(" ~ filled.text ~ ", '{" ~ placeholder ~ "}', cast(" ~ expression ~ " as string))" -%}
    {%- endfor -%}
    {{ return(filled.text) }}
{%- endmacro %}

{# A name that a seed gives, in the language of the build if phrases.csv has it, as it is otherwise. #}
{% macro seed_name(expression) -%}
    coalesce((
        select max(phrases.{{ var('language') }})
        from {{ ref('phrases') }} as phrases
        where phrases.phrase like 'seed_name_%' and phrases.en = {{ expression }}
    ), {{ expression }})
{%- endmacro %}
