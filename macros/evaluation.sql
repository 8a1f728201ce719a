{# What the backtest and the tables that it judges have to agree on. #}

{# Users that an item needs to be supported. In small data one user in a hundred is enough. #}
{% macro least_item_users(users) -%}
    least({{ var('min_item_users') }}, ceil({{ users }} / 100.0e0))
{%- endmacro %}

{# Lengths at which lists are judged. #}
{% macro list_cuts() -%}
    {{ return([5, 10, 20, 100]) }}
{%- endmacro %}

{# The lists and scopes of the backtest, each with the condition under which an item counts. #}
{% macro list_conditions() -%}
    {{ return({'for_you': 'true', 'discover': 'is_new'}) }}
{%- endmacro %}
{% macro scope_conditions() -%}
    {{ return({'all': 'true', 'supported': 'is_supported'}) }}
{%- endmacro %}

{#
    What earlier backtests left in var('backtest_dir'): a folder for each table, in it a file for each wall. A column
    that an older file does not have is null; without any file there are no rows.
#}
{% macro read_backtest(table, columns) -%}
    {%- set path = var('backtest_dir') ~ '/' ~ table ~ '/*.parquet' -%}
    {%- set relation = "read_parquet('" ~ path | replace("'", "''") ~ "', union_by_name = true)" -%}
    {%- set found = [] -%}
    {%- if execute and run_query("select file from glob('" ~ path | replace("'", "''") ~ "') limit 1").rows | length > 0 -%}
        {%- for row in run_query("describe select * from " ~ relation).rows -%}{%- do found.append(row[0]) -%}{%- endfor -%}
    {%- endif -%}
    select
    {%- for name, type in columns %}
        cast({{ name if name in found else 'null' }} as {{ type }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    {% if found %}from {{ relation }}{% else %}where false{% endif %}
{%- endmacro %}

{# The columns of the results, as they are kept in files. #}
{% macro recommendation_quality_columns() -%}
    {%- set columns = [
        ('as_of', 'timestamp'), ('until', 'timestamp'), ('strategy', 'string'), ('list', 'string'), ('scope', 'string'),
        ('k', 'integer'), ('group_kind', 'string'), ('group_value', 'string'), ('users', 'bigint'),
        ('users_with_list', 'bigint'),
    ] -%}
    {%- for name in [
        'precision', 'recall', 'f1', 'ndcg', 'map', 'mrr', 'hit_rate', 'ndcg_low', 'ndcg_high', 'ndcg_over_popular',
        'ndcg_over_popular_low', 'ndcg_over_popular_high', 'coverage', 'diversity', 'novelty', 'gini', 'tail_share',
    ] -%}
        {%- do columns.append((name, 'double')) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro segmentation_uplift_columns() -%}
    {%- set columns = [
        ('as_of', 'timestamp'), ('until', 'timestamp'), ('list', 'string'), ('segmentation', 'string'),
        ('users', 'bigint'), ('ndcg', 'double'), ('recall', 'double'),
    ] -%}
    {%- for reference in ['none', 'demographic', 'rfm'] -%}
        {%- for bound in ['', '_low', '_high'] -%}
            {%- do columns.append(('ndcg_over_' ~ reference ~ bound, 'double')) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do columns.extend([('verdict', 'string'), ('explanation', 'string')]) -%}
    {{ return(columns) }}
{%- endmacro %}

{# Lists that others made for the same wall, from var('peer_lists'). #}
{% macro peer_list_columns() -%}
    {{ return([('strategy', 'string'), ('list', 'string'), ('user_key', 'string'), ('rank', 'integer'), ('item_id', 'string')]) }}
{%- endmacro %}

{% macro read_peer_lists() -%}
    select
    {%- for name, type in peer_list_columns() %}
        cast({{ name if var('peer_lists') else 'null' }} as {{ type }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    {% if var('peer_lists') -%}
    from read_parquet('{{ var('peer_lists') | replace("'", "''") }}')
    {%- else -%}
    where false
    {%- endif %}
{%- endmacro %}

{% macro check_peer_lists() -%}
    {%- if var('peer_lists') -%}
        {%- set literal = "'" ~ var('peer_lists') | replace("'", "''") ~ "'" -%}
        {%- if run_query("select file from glob(" ~ literal ~ ") limit 1").rows | length == 0 -%}
            {%- do stop("peer_lists is '" ~ var('peer_lists') ~ "', but there is no such file; write it, or remove the setting.") -%}
        {%- endif -%}
        {%- set found = [] -%}
        {%- for row in run_query("describe select * from read_parquet(" ~ literal ~ ")").rows -%}{%- do found.append(row[0]) -%}{%- endfor -%}
        {%- for name, type in peer_list_columns() if name not in found -%}
            {%- do stop("peer_lists '" ~ var('peer_lists') ~ "' has no column '" ~ name ~ "'; it needs strategy, list, user_key, rank and item_id.") -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
