{# Figures as words of a sentence, in the language of the build. #}

{# 0.155 -> '15.5 %' #}
{% macro percent_text(share) -%}
    {{ phrase('percent', {'number': 'round(100 * ' ~ share ~ ', 1)'}) }}
{%- endmacro %}

{# 18, 10 -> '1.8 times the average'; 4, 10 -> '40 % of the average'; null where there is nothing to compare with. #}
{% macro ratio_text(value, average) -%}
    {%- set ratio = value ~ ' / ' ~ average -%}
    case
        when {{ average }} > 0 then case
            when {{ ratio }} < 0.01 then {{ phrase('ratio_nothing') }}
            when {{ ratio }} <= 0.95
                then {{ phrase('ratio_percent', {'percent': 'cast(round(100 * ' ~ ratio ~ ') as integer)'}) }}
            when {{ ratio }} < 1.05 then {{ phrase('ratio_same') }}
            else {{ phrase('ratio_times', {'times': 'round(' ~ ratio ~ ', 1)'}) }}
        end
    end
{%- endmacro %}

{# 3, 'event' -> '3 events' #}
{% macro counted_text(number, noun) -%}
    case
        when {{ number }} = 1 then {{ phrase('one_' ~ noun, {'count': number}) }}
        else {{ phrase('many_' ~ noun ~ 's', {'count': number}) }}
    end
{%- endmacro %}
