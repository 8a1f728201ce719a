{# Share of a segment's users that makes another one its parent or child in segment_lineage. #}
{% macro lineage_share() -%}
    0.25
{%- endmacro %}
