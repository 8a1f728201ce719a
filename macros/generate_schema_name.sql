{# Schemas are named after the layer, without the target's schema as a prefix: marts.user_segments. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
