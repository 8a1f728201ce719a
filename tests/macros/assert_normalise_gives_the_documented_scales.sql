-- Fails when a method of the macro normalise() does not give the scale that it promises: [0, 1], mean 0 and
-- standard deviation 1, median 0 and interquartile range 1; and 0 for a constant column.
with inputs as (
    select
        cast({{ explode('[1, 2, 3, 4, 100]') }} as double) as amount,
        7.0e0 as same
),

{% for method in ['minmax', 'zscore', 'robust', 'log1p'] %}
    {{ method }}_statistics as (
        select
            {{ normalisation_statistics('amount', method) }},
            {{ normalisation_statistics('same', method) }}
        from inputs
    ),

    {{ method }}_scaled as (
        select
            {{ normalise('amount', method, 'inputs', method ~ '_statistics') }} as amount,
            {{ normalise('same', method, 'inputs', method ~ '_statistics') }} as same
        from inputs
        cross join {{ method }}_statistics
    ),
{% endfor %}

facts as (
    select
        'minmax' as checked_method,
        min(amount) = 0 and max(amount) = 1 and max(same) = 0 as is_right
    from minmax_scaled
    union all
    select
        'zscore' as checked_method,
        abs(avg(amount)) < 1e-5 and abs(stddev_samp(amount) - 1) < 1e-5 and max(same) = 0 as is_right
    from zscore_scaled
    union all
    select
        'robust' as checked_method,
        median(amount) = 0 and abs(max(amount) - 48.5) < 1e-5 and max(same) = 0 as is_right
    from robust_scaled
    union all
    select
        'log1p' as checked_method,
        abs(avg(amount)) < 1e-5 and abs(stddev_samp(amount) - 1) < 1e-5 and max(same) = 0 as is_right
    from log1p_scaled
)

select checked_method
from facts
where not is_right
