{%- set parts = [] %}
{%- for list, list_condition in list_conditions().items() %}
    {%- for scope, scope_condition in scope_conditions().items() %}
        {%- do parts.append((list, scope, list_condition ~ ' and ' ~ scope_condition)) %}
    {%- endfor %}
{%- endfor %}

with relevant_items as (
    select * from {{ ref('relevant_items') }}
),

final as (
    {% for list, scope, condition in parts %}
        select
            '{{ list }}' as list,
            '{{ scope }}' as scope,
            user_number,
            count(*) as relevant
        from relevant_items
        where {{ condition }}
        group by user_number
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
