{# What a numeric column of user_features is called in a sentence, as an expression in SQL. #}
{% macro feature_label(name) -%}
    {%- for days in var('feature_windows_days') -%}
        {%- for measure in ['events', 'active_days', 'amount'] -%}
            {%- if name == measure ~ '_' ~ days ~ '_days' -%}
                {{ return(phrase('feature_' ~ measure ~ '_window', {'days': days})) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for first_hour in range(0, 24, 4) -%}
        {%- if name == hour_share_name(first_hour) -%}
            {{ return(phrase('feature_hours', {'hours': hour_label(first_hour)})) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(phrase('feature_' ~ (name | replace('_share', '') if name.split('_')[0] in weekday_names() else name))) }}
{%- endmacro %}

{% macro hour_label(first_hour) -%}
    {{ return(phrase('hours', {'first': "'%02d:00'" % first_hour, 'last': "'%02d:00'" % (first_hour + 4)})) }}
{%- endmacro %}

{# How its values are read: share (0 to 1), amount, log_ratio (ln of a ratio), or number. #}
{% macro feature_unit(name) -%}
    {%- if name.endswith('_share') -%}{{ return('share') }}
    {%- elif 'amount' in name -%}{{ return('amount') }}
    {%- elif name == 'price_level' -%}{{ return('log_ratio') }}
    {%- else -%}{{ return('number') }}
    {%- endif -%}
{%- endmacro %}
