{# Weight of something that is age_days old: 1 when new, one half after each half-life. #}
{% macro decay(age_days, half_life_days) -%}
    exp(-0.6931471805599453e0 * {{ age_days }} / {{ half_life_days }})
{%- endmacro %}

{# Log-damped and signed: ln(1 + x) for x >= 0, mirrored below zero. #}
{% macro damp(expression) -%}
    (sign({{ expression }}) * ln(1 + abs({{ expression }})))
{%- endmacro %}
