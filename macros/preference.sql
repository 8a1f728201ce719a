{#
    What an event says about the user's liking of the item, from the columns weight, sign, value_kind and value: weight x
    sign; a rating counts from -1 at the bottom of rating_scale to 1 at its top, seconds their share of full attention.
#}
{% macro preference() -%}
    {%- set low, high = var('rating_scale') -%}
    {%- set middle, half_range = (low + high) / 2, (high - low) / 2 -%}
    weight * sign * case
            when value_kind = 'rating' and value is not null
                then greatest(-1, least(1, (value - {{ middle }}) / {{ half_range }}))
            when value_kind = 'seconds' and value is not null
                then least(1, greatest(0, value) / {{ var('full_attention_seconds') }})
            else 1
        end
{%- endmacro %}
