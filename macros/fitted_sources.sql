{# Sources whose models fit something and are made only when var sources names them: as its names, `<name>_candidates`. #}
{% macro fitted_sources() -%}
    {{ return(['als', 'graph_filter', 'variational', 'next_item', 'user_neighbour']) }}
{%- endmacro %}
