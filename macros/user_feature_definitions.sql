{#
    The numeric columns of user_features and the way each is brought to a common scale. `grows`: its distribution moves
    with the length of the log although nobody changes (totals, distinct counts, and shares that more events make less
    coarse), so it says nothing about drift.
#}
{% macro user_feature_definitions() -%}
    {%- set features = [] -%}
    {%- for days in var('feature_windows_days') -%}
        {%- for name in ['events', 'active_days', 'amount'] -%}
            {%- do features.append({'name': name ~ '_' ~ days ~ '_days', 'method': 'log1p' if name != 'amount' else 'robust', 'grows': false}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set growing = [
        'tenure_days', 'frequency_days', 'monetary_amount', 'events', 'items', 'categories', 'repeat_item_share'
    ] -%}
    {%- for name, method in [
        ('recency_days', 'log1p'), ('tenure_days', 'zscore'), ('frequency_days', 'log1p'), ('monetary_amount', 'robust'),
        ('mean_gap_days', 'log1p'), ('events', 'log1p'), ('items', 'log1p'), ('categories', 'log1p'),
        ('repeat_item_share', 'minmax'), ('basket_items', 'log1p'), ('basket_amount', 'robust'),
        ('price_level', 'zscore'), ('negative_share', 'minmax'),
    ] -%}
        {%- do features.append({'name': name, 'method': method, 'grows': name in growing}) -%}
    {%- endfor -%}
    {%- for first_hour in range(0, 24, 4) -%}
        {%- do features.append({'name': hour_share_name(first_hour), 'method': 'zscore', 'grows': true}) -%}
    {%- endfor -%}
    {%- for weekday in weekday_names() -%}
        {%- do features.append({'name': weekday ~ '_share', 'method': 'zscore', 'grows': true}) -%}
    {%- endfor -%}
    {{ return(features) }}
{%- endmacro %}

{% macro weekday_names() -%}
    {{ return(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']) }}
{%- endmacro %}

{# hour_share_name(8) is hour_08_11_share: events between 08:00 and 11:59. #}
{% macro hour_share_name(first_hour) -%}
    {{ return('hour_%02d_%02d_share' % (first_hour, first_hour + 3)) }}
{%- endmacro %}
