{{ config(materialized=stored_if_used('attribute')) }}

{%- set columns = var('attribute_columns') %}
{%- set parts = [] %}
{%- for column in columns %}
    {%- do parts.append("'" ~ column | replace('_', ' ') ~ " ' || " ~ column) %}
{%- endfor %}

with users as (
    select * from {{ ref('user_attributes') }}
    where has_consent
),

-- A cell is written as its attributes; one that the user does not state is null, and concat_ws leaves it out.
prefixes as (
    {% for column in columns %}
        select
            user_key,
            {{ loop.index }} as attribute_count,
            concat_ws(', ', {{ parts[:loop.index] | join(', ') }}) as cell,
            positive_events
        from users
        {{ "union all" if not loop.last }}
    {% endfor %}
),

stated as (
    select
        user_key,
        cell,
        max(attribute_count) as attribute_count,
        max(positive_events) as positive_events
    from prefixes
    where cell <> ''
    group by user_key, cell
),

final as (
    select
        user_key,
        cell,
        attribute_count,
        positive_events,
        count(*) filter (where positive_events > 0) over (partition by cell) as cell_users
    from stated
)

select * from final
