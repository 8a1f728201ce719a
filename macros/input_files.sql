{#
    Reads `input: files`. A table is a file or a folder of files in var('files_dir'):
    events.parquet, events.csv, events.csv.gz, events/*.parquet or events/*.csv.
    CSV is read as text and cast here, so that an id like 00123 keeps its zeros.
#}

{# {'path': ..., 'relation': 'read_parquet(...)', 'columns': {name: type}}, or none when there is no such file. #}
{% macro input_file(table) -%}
    {%- set folder = var('files_dir') ~ '/' -%}
    {%- for suffix in ['.parquet', '.csv', '.csv.gz', '/*.parquet', '/*.csv', '/*.csv.gz'] -%}
        {%- set path = folder ~ table ~ suffix -%}
        {%- set literal = "'" ~ path | replace("'", "''") ~ "'" -%}
        {%- if run_query("select file from glob(" ~ literal ~ ") limit 1").rows | length > 0 -%}
            {%- if 'parquet' in suffix -%}
                {%- set relation = "read_parquet(" ~ literal ~ ", union_by_name = true)" -%}
            {%- else -%}
                {%- set relation = "read_csv(" ~ literal ~ ", header = true, all_varchar = true, union_by_name = true)" -%}
            {%- endif -%}
            {%- set columns = {} -%}
            {%- for row in run_query("describe select * from " ~ relation).rows -%}
                {%- do columns.update({row[0]: row[1]}) -%}
            {%- endfor -%}
            {#- A column without a single value has a type by accident: in Parquet, DuckDB reads it as INTEGER. -#}
            {%- for name, type, required in input_contract(table) if columns.get(name) == 'INTEGER' and not type_fits(type, 'INTEGER') -%}
                {%- if run_query("select 1 from " ~ relation ~ " where " ~ name ~ " is not null limit 1").rows | length == 0 -%}
                    {%- do columns.update({name: 'NULL'}) -%}
                {%- endif -%}
            {%- endfor -%}
            {{ return({'path': path, 'relation': relation, 'columns': columns}) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(none) }}
{%- endmacro %}

{# A contract column from a file's column of any type. #}
{% macro read_column(name, type, file_type) -%}
    {%- if file_type == 'NULL' -%}
        cast(null as {{ type }})
    {%- elif type == 'timestamp' and file_type == 'VARCHAR' -%}
        {#- With a zone offset the text becomes UTC; without one it is taken as UTC. -#}
        cast(try_cast(nullif(trim({{ name }}), '') as timestamptz) as timestamp)
    {%- elif file_type == 'VARCHAR' and type != 'string' -%}
        try_cast(nullif(trim({{ name }}), '') as {{ type }})
    {%- elif type == 'string' and file_type in ['DOUBLE', 'FLOAT'] -%}
        {#- Ids that a data frame turned into floats because some were missing: 17850.0 is 17850. -#}
        case
            when {{ name }} = floor({{ name }}) and abs({{ name }}) < 9e15 then cast(cast({{ name }} as bigint) as string)
            else cast({{ name }} as string)
        end
    {%- else -%}
        cast({{ name }} as {{ type }})
    {%- endif -%}
{%- endmacro %}

{# The body of every files__* model. #}
{% macro select_file(table) -%}
    {%- set file = input_file(table) if execute else none -%}
    {%- if file is none and table == 'items' and execute -%}
        {{ select_items_from_events() }}
    {%- elif file is none -%}
        {{ empty_input(table) }}
    {%- else -%}
select
        {%- for name, type, required in input_contract(table) %}
    {% if name in file.columns -%}
        {{ read_column(name, type, file.columns[name]) }} as {{ name }}
        {%- elif name == 'event_type' -%}
        'interaction' as event_type
        {%- elif table == 'events' and name == 'value' and 'price' in file.columns and 'quantity' in file.columns -%}
        {#- An invoice line with a unit price and a quantity has an amount. -#}
        {{ read_column('price', 'double', file.columns['price']) }}
        * {{ read_column('quantity', 'double', file.columns['quantity']) }} as value
        {%- else -%}
        cast(null as {{ type }}) as {{ name }}
        {%- endif -%}
        {{ "," if not loop.last or input_has_extras(table) }}
        {%- endfor %}
        {%- if input_has_extras(table) %}
            {%- set extra_columns = [] -%}
            {%- for name in file.columns if name.startswith('x_') -%}{%- do extra_columns.append(name) -%}{%- endfor -%}
            {%- if extra_columns %}
    to_json(struct_pack(
                {%- for name in extra_columns %}
        {{ name }} := {{ name }}{{ "," if not loop.last }}
                {%- endfor %}
    ))::varchar as extras
            {%- else %}
    cast(null as string) as extras
            {%- endif %}
        {%- endif %}
from {{ file.relation }}
    {%- endif -%}
{%- endmacro %}

{# Without an items file, item columns beside the events describe the items: the value that occurs most often wins. #}
{% macro select_items_from_events() -%}
    {%- set file = input_file('events') -%}
    {%- set contract = input_contract('items') -%}
    {%- set found = [] -%}
    {%- for name, type, required in contract -%}
        {%- if name != 'item_id' and name in file.columns -%}{%- do found.append(name) -%}{%- endif -%}
    {%- endfor -%}
    {%- if not found -%}
        {{ empty_input('items') }}
    {%- else -%}
select
    item_id,
        {%- for name, type, required in contract if name != 'item_id' %}
            {%- if name in found %}
    mode({{ name }} order by {{ name }}) as {{ name }},
            {%- else %}
    cast(null as {{ type }}) as {{ name }},
            {%- endif %}
        {%- endfor %}
    cast(null as string) as extras
from (
    select
        {{ read_column('item_id', 'string', file.columns['item_id']) }} as item_id,
        {%- for name, type, required in contract if name in found %}
        {{ read_column(name, type, file.columns[name]) }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ file.relation }}
)
where item_id is not null
group by item_id
    {%- endif -%}
{%- endmacro %}
