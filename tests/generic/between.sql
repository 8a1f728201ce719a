{# Fails for each row whose value lies outside [low, high]; a bound that is not given does not bind, nulls pass. #}
{% test between(model, column_name, low=none, high=none) %}

select {{ column_name }}
from {{ model }}
where
    false
    {% if low is not none %}
        or {{ column_name }} < {{ low }}
    {% endif %}
    {% if high is not none %}
        or {{ column_name }} > {{ high }}
    {% endif %}

{% endtest %}
