{#
    Sums and means that do not depend on the order of the rows, which parallel engines do not fix. Addends with at
    most `digits` decimals have a sum with at most as many, so rounding to them removes the order's last bits; rounding
    to fewer would leave sums that end in 5 to chance.
#}
{% macro stable_sum(expression, digits=6) -%}
    round(sum({{ expression }}), {{ digits }})
{%- endmacro %}

{% macro stable_mean(expression, digits=6) -%}
    round(sum({{ expression }}), {{ digits }}) / nullif(count({{ expression }}), 0)
{%- endmacro %}
