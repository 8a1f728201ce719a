{{ config(materialized=stored_if_used('attribute')) }}

{%- set columns = var('attribute_columns') %}

with users as (
    select * from {{ ref('user_attributes') }}
),

-- A cell is written as its attributes; one that the user does not state is left out of it.
levels as (
    {% for column in columns %}
        select
            user_key,
            {{ loop.index }} as level,
            concat_ws(', '
                {%- for part in columns[:loop.index] -%}
                    , {{ "case when " ~ part ~ " is not null then '" ~ (part | replace('_', ' ')) ~ " ' || " ~ part ~ " end" }}
                {%- endfor -%}
            ) as cell,
            positive_events
        from users
        where has_consent
        {{ "union all" if not loop.last }}
    {% endfor %}
),

stated as (
    select
        user_key,
        cell,
        max(level) as level,
        max(positive_events) as positive_events
    from levels
    where cell <> ''
    group by user_key, cell
),

final as (
    select
        user_key,
        cell,
        level,
        positive_events,
        count(*) filter (where positive_events > 0) over (partition by cell) as cell_users
    from stated
)

select * from final
