-- Fails when a method of the macro normalise() does not give the scale that it promises: [0, 1], mean 0 and standard
-- deviation 1, median 0 and interquartile range 1; and 0 for a constant column.
with numbers as (
    select
        cast(number as double) as number,
        7.0e0 as constant
    from (values (1), (2), (3), (4), (100)) as numbers (number)
),

{% for method in ['minmax', 'zscore', 'robust', 'log1p'] %}
    {{ method }}_statistics as (
        select
            {{ normalisation_statistics('number', method) }},
            {{ normalisation_statistics('constant', method) }}
        from numbers
    ),

    {{ method }}_scaled as (
        select
            {{ normalise('number', method) }} as number,
            {{ normalise('constant', method) }} as constant
        from numbers
        cross join {{ method }}_statistics as statistics
    ),
{% endfor %}

facts as (
    select
        'minmax' as method,
        min(number) = 0 and max(number) = 1 and max(constant) = 0 as holds
    from minmax_scaled
    union all
    select
        'zscore' as method,
        abs(avg(number)) < 1e-5 and abs(stddev_samp(number) - 1) < 1e-5 and max(constant) = 0 as holds
    from zscore_scaled
    union all
    select
        'robust' as method,
        median(number) = 0 and abs(max(number) - 48.5) < 1e-5 and max(constant) = 0 as holds
    from robust_scaled
    union all
    select
        'log1p' as method,
        abs(avg(number)) < 1e-5 and abs(stddev_samp(number) - 1) < 1e-5 and max(constant) = 0 as holds
    from log1p_scaled
)

select method
from facts
where not holds
