{#
    Brings a column to a common scale in two steps, so that each statistic is computed once:
    normalisation_statistics(column, method) are aggregates for a one-row CTE, and normalise(column, method) uses them.
    minmax -> [0, 1]; zscore -> mean 0, standard deviation 1; robust -> median 0, interquartile range 1;
    log1p -> ln(1 + x), then zscore. A constant column becomes 0. Nulls become 0: the centre of all but minmax.
#}
{% macro normalisation_statistics(column, method) -%}
    {%- if method == 'minmax' -%}
        min({{ column }}) as {{ column }}_centre, max({{ column }}) - min({{ column }}) as {{ column }}_scale
    {%- elif method == 'zscore' -%}
        avg({{ column }}) as {{ column }}_centre, stddev_samp({{ column }}) as {{ column }}_scale
    {%- elif method == 'robust' -%}
        median({{ column }}) as {{ column }}_centre,
        percentile_cont(0.75) within group (order by {{ column }})
        - percentile_cont(0.25) within group (order by {{ column }}) as {{ column }}_scale
    {%- elif method == 'log1p' -%}
        avg(ln(1 + {{ column }})) as {{ column }}_centre, stddev_samp(ln(1 + {{ column }})) as {{ column }}_scale
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "normalise: unknown method '" ~ method ~ "' for " ~ column ~ "; use minmax, zscore, robust or log1p."
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro normalise(column, method, rows, statistics='statistics') -%}
    {%- set value = rows ~ '.' ~ column -%}
    coalesce(round(
        ({{ 'ln(1 + ' ~ value ~ ')' if method == 'log1p' else value }} - {{ statistics }}.{{ column }}_centre)
        / nullif({{ statistics }}.{{ column }}_scale, 0), 6
    ), 0)
{%- endmacro %}
