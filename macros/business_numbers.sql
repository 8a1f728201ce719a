{# What an order and what spend are, over rows of features.events of one user and one day; here and nowhere else. #}

{#
    Sessions of the day in which something with an amount happened: a purchase, a deposit, an interaction of no stated
    kind; not a return. What has no session is one order a day.
#}
{% macro order_count() -%}
    count(distinct case when value_kind = 'amount' and preference > 0 then coalesce(session_id, '') end)
{%- endmacro %}

{#
    Money, returns deducted. Added in exact decimals, so that the order of a parallel sum cannot matter, and rounded for
    each user and day, so that every table that adds them up comes to the same total.
#}
{% macro spend() -%}
    cast(sum(cast(amount as decimal(18, 4))) as decimal(18, 2))
{%- endmacro %}
