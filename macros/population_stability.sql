{#
    The population stability index (PSI): sum over bins of (now - before) x ln(now / before), where now and before are
    the shares of users in a bin. By convention below 0.1 is stable and from 0.25 on a major change.
#}

{# One bin's part of the sum. Half a user is added to each bin, so that an empty one has a logarithm. #}
{% macro stability_part(users, all_users, reference_users, all_reference_users, bins) -%}
    {%- set now = '(' ~ users ~ ' + 0.5e0) / (' ~ all_users ~ ' + 0.5e0 * ' ~ bins ~ ')' -%}
    {%- set before = '(' ~ reference_users ~ ' + 0.5e0) / (' ~ all_reference_users ~ ' + 0.5e0 * ' ~ bins ~ ')' -%}
    round(({{ now }} - {{ before }}) * ln(({{ now }}) / ({{ before }})), 9)
{%- endmacro %}

{#
    The PSI that chance alone exceeds in one of twenty comparisons of samples that do not differ: the 95th percentile of
    chi-square with bins - 1 degrees of freedom times (1 / n + 1 / m) (Yurdakul and Naranjo 2020), the percentile by
    Wilson and Hilferty (1931).
#}
{% macro stability_by_chance(all_users, all_reference_users, bins) -%}
    {%- set degrees = 'greatest(' ~ bins ~ ' - 1, 1)' -%}
    {{ degrees }} * power(1 - 2 / (9.0e0 * {{ degrees }}) + 1.6449e0 * sqrt(2 / (9.0e0 * {{ degrees }})), 3)
    * (1.0e0 / nullif({{ all_users }}, 0) + 1.0e0 / nullif({{ all_reference_users }}, 0))
{%- endmacro %}

{# A PSI in words; what chance could have made is stable. #}
{% macro stability_word(index, index_by_chance) -%}
    case
        when {{ index }} is null then null
        when {{ index }} < 0.1 or {{ index }} <= {{ index_by_chance }} then 'stable'
        when {{ index }} < 0.25 then 'moderate'
        else 'major'
    end
{%- endmacro %}

{# The features that a change is looked for in: not those that grow with the length of the log whatever users do. #}
{% macro watched_features() -%}
    {{ return(user_feature_definitions() | rejectattr('grows') | map(attribute='name') | list) }}
{%- endmacro %}

{# Their values, one row per user and feature. #}
{% macro watched_feature_values(relation) -%}
    {%- for name in watched_features() %}
    select
        '{{ name }}' as feature,
        {{ name }} as value
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#
    Users up to each edge, one row per feature and bin. `bins` has feature, bin and upper_edge (null: no end), `values`
    has feature and value.
#}
{% macro users_up_to_edge(bins, values) -%}
    select
        {{ bins }}.feature,
        {{ bins }}.bin,
        max({{ bins }}.upper_edge) as upper_edge,
        count(*) filter (where {{ bins }}.upper_edge is null or {{ values }}.value <= {{ bins }}.upper_edge) as users_up_to
    from {{ bins }}
    inner join {{ values }}
        on {{ bins }}.feature = {{ values }}.feature
    group by {{ bins }}.feature, {{ bins }}.bin
{%- endmacro %}

{#
    PSI of each watched feature of user_features against the bins of an earlier wall, as a select statement.
    `reference` has the columns of feature_dates, `values` those of watched_feature_values. A feature without rows in
    one of them has no row.
#}
{% macro feature_stability(reference, values) -%}
    select
        feature,
        cast(sum(users) as bigint) as users,
        cast(sum(reference_users) as bigint) as reference_users,
        round(sum({{ stability_part('users', 'all_users', 'reference_users', 'all_reference_users', 'bins') }}), 6) as psi,
        round({{ stability_by_chance('sum(users)', 'sum(reference_users)', 'count(*)') }}, 6) as psi_by_chance
    from (
        select
            counted.feature,
            counted.users_up_to - lag(counted.users_up_to, 1, 0) over (
                partition by counted.feature
                order by counted.bin
            ) as users,
            max(counted.users_up_to) over (partition by counted.feature) as all_users,
            {{ reference }}.users as reference_users,
            sum({{ reference }}.users) over (partition by counted.feature) as all_reference_users,
            count(*) over (partition by counted.feature) as bins
        from ({{ users_up_to_edge(reference, values) }}) as counted
        inner join {{ reference }}
            on
                counted.feature = {{ reference }}.feature
                and counted.bin = {{ reference }}.bin
    ) as binned
    group by feature
{%- endmacro %}
