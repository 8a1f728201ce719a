{# What a numeric column of user_features is called in a sentence. #}
{% macro feature_label(name) -%}
    {%- set labels = {
        'recency_days': 'days since the last event',
        'tenure_days': 'days since the first event',
        'frequency_days': 'active days in all',
        'monetary_amount': 'amount in all',
        'mean_gap_days': 'mean days between active days',
        'events': 'events in all',
        'items': 'different items',
        'categories': 'different categories',
        'repeat_item_share': 'share of items with events on several days',
        'basket_items': 'events per active day',
        'basket_amount': 'amount per active day',
        'price_level': 'prices in their categories',
        'negative_share': 'share of events against an item',
    } -%}
    {%- for days in var('feature_windows_days') -%}
        {%- for measure in ['events', 'active_days', 'amount'] -%}
            {%- do labels.update({
                measure ~ '_' ~ days ~ '_days': measure | replace('_', ' ') ~ ' in the last ' ~ days ~ ' days'
            }) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for first_hour in range(0, 24, 4) -%}
        {%- do labels.update({hour_share_name(first_hour): 'share of events ' ~ hour_label(first_hour)}) -%}
    {%- endfor -%}
    {%- for weekday in weekday_names() -%}
        {%- do labels.update({weekday ~ '_share': 'share of events on ' ~ weekday | capitalize ~ 's'}) -%}
    {%- endfor -%}
    {{ return(labels.get(name, name | replace('_', ' '))) }}
{%- endmacro %}

{% macro hour_label(first_hour) -%}
    {{ return('between %02d:00 and %02d:00 UTC' % (first_hour, first_hour + 4)) }}
{%- endmacro %}

{# How its values are read: share (0 to 1), amount, log_ratio (ln of a ratio), or number. #}
{% macro feature_unit(name) -%}
    {%- if name.endswith('_share') -%}{{ return('share') }}
    {%- elif 'amount' in name -%}{{ return('amount') }}
    {%- elif name == 'price_level' -%}{{ return('log_ratio') }}
    {%- else -%}{{ return('number') }}
    {%- endif -%}
{%- endmacro %}
