{# What DuckDB and Spark write differently, and nothing else. default__ is DuckDB. #}

{% macro epoch_seconds(timestamp_expression) -%}
    {{ return(adapter.dispatch('epoch_seconds', 'manyfaces')(timestamp_expression)) }}
{%- endmacro %}
{% macro default__epoch_seconds(timestamp_expression) -%}
    epoch({{ timestamp_expression }})
{%- endmacro %}
{% macro spark__epoch_seconds(timestamp_expression) -%}
    unix_timestamp({{ timestamp_expression }})
{%- endmacro %}

{# Replaces every match, on both engines. #}
{% macro replace_matches(expression, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_matches', 'manyfaces')(expression, pattern, replacement)) }}
{%- endmacro %}
{% macro default__replace_matches(expression, pattern, replacement) -%}
    regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
{% macro spark__replace_matches(expression, pattern, replacement) -%}
    regexp_replace({{ expression }}, '{{ pattern | replace('\\', '\\\\') }}', '{{ replacement }}')
{%- endmacro %}

{# The n highest rows, compared column by column, highest first, as an array of structs: a bounded heap, no sort. #}
{% macro top_rows(columns, n) -%}
    {{ return(adapter.dispatch('top_rows', 'manyfaces')(columns, n)) }}
{%- endmacro %}
{% macro default__top_rows(columns, n) -%}
    max(struct_pack({% for column in columns %}{{ column }} := {{ column }}{{ ", " if not loop.last }}{% endfor %}), {{ n }})
{%- endmacro %}
{% macro spark__top_rows(columns, n) -%}
    slice(reverse(array_sort(array_agg(struct({{ columns | join(', ') }})))), 1, {{ n }})
{%- endmacro %}

{# One row per element of an array, in a select list. #}
{% macro explode(array) -%}
    {{ return(adapter.dispatch('explode', 'manyfaces')(array)) }}
{%- endmacro %}
{% macro default__explode(array) -%}
    unnest({{ array }})
{%- endmacro %}
{% macro spark__explode(array) -%}
    explode({{ array }})
{%- endmacro %}

{# One field of an array of structs, in reversed order. #}
{% macro field_reversed(rows, field) -%}
    {{ return(adapter.dispatch('field_reversed', 'manyfaces')(rows, field)) }}
{%- endmacro %}
{% macro default__field_reversed(rows, field) -%}
    list_reverse(list_transform({{ rows }}, lambda entry: entry.{{ field }}))
{%- endmacro %}
{% macro spark__field_reversed(rows, field) -%}
    reverse(transform({{ rows }}, entry -> entry.{{ field }}))
{%- endmacro %}

{# Sunday is 0 in DuckDB and 1 in Spark; here Monday is 1 and Sunday 7, as in ISO 8601. #}
{% macro iso_weekday(timestamp_expression) -%}
    {{ return(adapter.dispatch('iso_weekday', 'manyfaces')(timestamp_expression)) }}
{%- endmacro %}
{% macro default__iso_weekday(timestamp_expression) -%}
    isodow({{ timestamp_expression }})
{%- endmacro %}
{% macro spark__iso_weekday(timestamp_expression) -%}
    (weekday({{ timestamp_expression }}) + 1)
{%- endmacro %}

{# The values of a group as one text, in the order of a key. #}
{% macro ordered_text(value, order_key, separator=', ') -%}
    {{ return(adapter.dispatch('ordered_text', 'manyfaces')(value, order_key, separator)) }}
{%- endmacro %}
{% macro default__ordered_text(value, order_key, separator) -%}
    string_agg({{ value }}, '{{ separator }}' order by {{ order_key }})
{%- endmacro %}
{% macro spark__ordered_text(value, order_key, separator) -%}
    listagg({{ value }}, '{{ separator }}') within group (order by {{ order_key }})
{%- endmacro %}

{# A hash of the columns, nulls included; engines differ in its values, so it must not be stored. #}
{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash', 'manyfaces')(columns)) }}
{%- endmacro %}
{% macro default__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}
{% macro spark__row_hash(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}

{# The two nearest of an array of centres (structs of cluster and centroid) as an array of structs of distance and
   cluster, nearest first, of equals the smaller cluster. Distances are Euclidean, in double precision, 6 digits. #}
{% macro nearest_centres(vector, centres) -%}
    {{ return(adapter.dispatch('nearest_centres', 'manyfaces')(vector, centres)) }}
{%- endmacro %}
{% macro default__nearest_centres(vector, centres) -%}
    list_sort(list_transform({{ centres }}, lambda centre: struct_pack(
        distance := round(list_distance({{ vector }}, centre.centroid), 6), cluster := centre.cluster
    )))[1:2]
{%- endmacro %}
{% macro spark__nearest_centres(vector, centres) -%}
    slice(array_sort(transform({{ centres }}, centre -> named_struct(
        'distance', round(sqrt(aggregate(
            zip_with({{ vector }}, centre.centroid, (one, other) -> (one - other) * (one - other)), 0D, (total, part) -> total + part
        )), 6), 'cluster', centre.cluster
    ))), 1, 2)
{%- endmacro %}

{# All rows of a group as an array of structs, ordered by their first column. #}
{% macro all_rows(columns) -%}
    {{ return(adapter.dispatch('all_rows', 'manyfaces')(columns)) }}
{%- endmacro %}
{% macro default__all_rows(columns) -%}
    list(struct_pack({% for column in columns %}{{ column }} := {{ column }}{{ ", " if not loop.last }}{% endfor %}) order by {{ columns[0] }})
{%- endmacro %}
{% macro spark__all_rows(columns) -%}
    array_sort(array_agg(struct({{ columns | join(', ') }})))
{%- endmacro %}

{# A vector in double precision. #}
{% macro double_vector(vector) -%}
    {{ return(adapter.dispatch('double_vector', 'manyfaces')(vector)) }}
{%- endmacro %}
{% macro default__double_vector(vector) -%}
    cast({{ vector }} as double[])
{%- endmacro %}
{% macro spark__double_vector(vector) -%}
    cast({{ vector }} as array<double>)
{%- endmacro %}

{# The nine deciles of a numeric expression as an array, interpolated. #}
{% macro deciles(expression) -%}
    {{ return(adapter.dispatch('deciles', 'manyfaces')(expression)) }}
{%- endmacro %}
{% macro default__deciles(expression) -%}
    quantile_cont({{ expression }}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
{%- endmacro %}
{% macro spark__deciles(expression) -%}
    percentile({{ expression }}, array(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
{%- endmacro %}

{# An array of whole numbers, both ends included. #}
{% macro whole_numbers(first, last) -%}
    {{ return(adapter.dispatch('whole_numbers', 'manyfaces')(first, last)) }}
{%- endmacro %}
{% macro default__whole_numbers(first, last) -%}
    range({{ first }}, {{ last }} + 1)
{%- endmacro %}
{% macro spark__whole_numbers(first, last) -%}
    sequence({{ first }}, {{ last }})
{%- endmacro %}

{# Stops the query with a text. The value of the expression is never seen. #}
{% macro raise(text) -%}
    {{ return(adapter.dispatch('raise', 'manyfaces')(text)) }}
{%- endmacro %}
{% macro default__raise(text) -%}
    error({{ text }})
{%- endmacro %}
{% macro spark__raise(text) -%}
    raise_error({{ text }})
{%- endmacro %}

{# Cosine of two vectors of length 1 (0 with a vector of zeros), in double precision. #}
{% macro cosine(one, other) -%}
    {{ return(adapter.dispatch('cosine', 'manyfaces')(one, other)) }}
{%- endmacro %}
{% macro default__cosine(one, other) -%}
    list_dot_product({{ one }}, {{ other }})
{%- endmacro %}
{% macro spark__cosine(one, other) -%}
    aggregate(zip_with({{ one }}, {{ other }}, (left_value, right_value) -> left_value * right_value), 0D, (total, part) -> total + part)
{%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(first, last) -%}
    {{ return(adapter.dispatch('days_between', 'manyfaces')(first, last)) }}
{%- endmacro %}
{% macro default__days_between(first, last) -%}
    date_diff('day', {{ first }}, {{ last }})
{%- endmacro %}
{% macro spark__days_between(first, last) -%}
    datediff({{ last }}, {{ first }})
{%- endmacro %}

{# The date so many days after another. #}
{% macro days_later(day, days) -%}
    {{ return(adapter.dispatch('days_later', 'manyfaces')(day, days)) }}
{%- endmacro %}
{% macro default__days_later(day, days) -%}
    {{ day }} + cast({{ days }} as integer)
{%- endmacro %}
{% macro spark__days_later(day, days) -%}
    date_add({{ day }}, cast({{ days }} as integer))
{%- endmacro %}
