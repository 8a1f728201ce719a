{% macro check_config() %}{% endmacro %}
