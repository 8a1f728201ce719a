{#
    The input contract: the only tables that a new data set has to supply, with their columns and types.
    `required` columns must be in a file of `input: files`; all others may be missing there.
#}
{% macro input_contract(table) -%}
    {%- set contract = {
        'events': [
            ('user_id', 'string', true), ('item_id', 'string', true), ('event_type', 'string', false),
            ('event_at', 'timestamp', true), ('value', 'double', false), ('quantity', 'double', false),
            ('session_id', 'string', false), ('context', 'string', false), ('event_text', 'string', false),
        ],
        'items': [
            ('item_id', 'string', true), ('title', 'string', false), ('category', 'string', false),
            ('subcategory', 'string', false), ('brand', 'string', false), ('description', 'string', false),
            ('price', 'double', false), ('released_at', 'timestamp', false), ('is_active', 'boolean', false),
        ],
        'users': [
            ('user_id', 'string', true), ('signed_up_at', 'timestamp', false), ('age_band', 'string', false),
            ('gender', 'string', false), ('region', 'string', false), ('occupation', 'string', false),
            ('income_band', 'string', false), ('household', 'string', false), ('consent', 'boolean', false),
        ],
        'impressions': [
            ('impression_id', 'string', true), ('user_id', 'string', true), ('item_id', 'string', false),
            ('shown_at', 'timestamp', true), ('shown_until', 'timestamp', false), ('placement', 'string', false),
            ('strategy', 'string', false), ('variant', 'string', false), ('position', 'bigint', false),
        ],
        'user_labels': [('user_id', 'string', true), ('label', 'string', true)],
        'user_relations': [
            ('user_id', 'string', true), ('related_user_id', 'string', true), ('relation', 'string', false),
            ('weight', 'double', false),
        ],
        'item_vectors': [('item_id', 'string', true), ('modality', 'string', false), ('vector', 'float[]', true)],
        'erasures': [('user_id', 'string', true), ('requested_at', 'timestamp', false)],
    } -%}
    {{ return(contract[table]) }}
{%- endmacro %}

{# Tables whose files may carry extra columns, passed on as one JSON text, `extras`. #}
{% macro input_has_extras(table) -%}
    {{ return(table in ['events', 'items', 'users']) }}
{%- endmacro %}

{# The body of every input_* model: the contract's columns, cast to their types, from the model of the chosen input. #}
{% macro select_input(table) -%}
select
    {%- for name, type, required in input_contract(table) %}
    cast({{ name }} as {{ type }}) as {{ name }}{{ "," if not loop.last or input_has_extras(table) }}
    {%- endfor %}
    {%- if input_has_extras(table) %}
    cast(extras as string) as extras
    {%- endif %}
from {{ ref(var('input') ~ '__' ~ table) }}
{%- endmacro %}

{# An optional input that a data set does not have: the right columns, no row. #}
{% macro empty_input(table) -%}
select
    {%- for name, type, required in input_contract(table) %}
    cast(null as {{ type }}) as {{ name }}{{ "," if not loop.last or input_has_extras(table) }}
    {%- endfor %}
    {%- if input_has_extras(table) %}
    cast(null as string) as extras
    {%- endif %}
where false
{%- endmacro %}
