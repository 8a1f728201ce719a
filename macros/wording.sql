{# Figures as words of a sentence. #}

{# 0.155 -> '15.5 %' #}
{% macro percent_text(share) -%}
    round(100 * {{ share }}, 1) || ' %'
{%- endmacro %}

{# 18, 10 -> '1.8 times the average'; 4, 10 -> '40 % of the average'; null where there is nothing to compare with. #}
{% macro ratio_text(value, average) -%}
    case
        when {{ average }} > 0 then case
            when {{ value }} / {{ average }} < 0.01 then 'next to nothing'
            when {{ value }} / {{ average }} <= 0.95
                then cast(round(100 * {{ value }} / {{ average }}) as integer) || ' % of the average'
            when {{ value }} / {{ average }} < 1.05 then 'about the average'
            else round({{ value }} / {{ average }}, 1) || ' times the average'
        end
    end
{%- endmacro %}

{# 3, 'day' -> '3 days' #}
{% macro counted_text(number, noun) -%}
    {{ number }} || case when {{ number }} = 1 then ' {{ noun }}' else ' {{ noun }}s' end
{%- endmacro %}
