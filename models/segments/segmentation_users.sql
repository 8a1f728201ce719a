{{ config(post_hook="{{ warn_of_empty_populations(this) }}") }}

with user_attributes as (
    select * from {{ ref('user_attributes') }}
),

user_features as (
    select * from {{ ref('user_features') }}
),

users as (
    select
        {% for column in population_columns() %}
            {{ column.relation }}.{{ column.name }},
        {% endfor %}
        user_attributes.user_key
    from user_attributes
    left join user_features
        on user_attributes.user_key = user_features.user_key
),

final as (
    {% for segmentation in declared_segmentations() %}
        select
            '{{ segmentation.name }}' as segmentation,
            user_key
        from users
        {% if segmentation.population %}
            where (
                {{ segmentation.population }}
            )
        {% endif %}
        union all
    {% endfor %}
    select
        cast(null as string) as segmentation,
        user_key
    from users
    where false
)

select * from final
