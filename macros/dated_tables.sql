{#
    Dated tables keep the rows of every wall (as_of) that was built. A build replaces the rows of its own wall and no
    others, so that building a wall again changes nothing, and building an earlier one leaves the later ones alone.
    They are appended to, survive --full-refresh, and use these hooks.
#}

{# Before a build: the rows of its wall go, also when none will take their place. The model itself reads wall. #}
{% macro forget_this_wall() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where as_of in (select as_of from {{ ref('wall') }})
    {%- endif -%}
{%- endmacro %}

{# Users who asked to be forgotten vanish from all walls; users that only an earlier wall knows stay. #}
{% macro forget_erased_users() -%}
    delete from {{ this }} where user_key in (select {{ pseudonym('user_id') }} from {{ ref('stg_erasures') }})
{%- endmacro %}

{# Only the newest walls stay, and those whose models they still use: shares are compared with them. #}
{% macro forget_oldest_walls() -%}
    delete from {{ this }}
    where
        as_of not in (
            select as_of from {{ this }} group by as_of order by as_of desc limit {{ var('history_dates') }}
        )
        and as_of not in (
            select plan.fitted_as_of
            from {{ ref('learning_plan') }} as plan
            inner join (
                select as_of from {{ this }} group by as_of order by as_of desc limit {{ var('history_dates') }}
            ) as newest
                on plan.as_of = newest.as_of
        )
{%- endmacro %}

{# Each wall of a segmentation with the one before it. `dates` has segmentation and as_of. #}
{% macro consecutive_walls(dates) -%}
    select
        segmentation,
        from_as_of,
        as_of
    from (
        select
            segmentation,
            as_of,
            lag(as_of) over (partition by segmentation order by as_of) as from_as_of
        from {{ dates }}
        group by segmentation, as_of
    ) as walls
    where from_as_of is not null
{%- endmacro %}
